/** Where network namespaces are forbidden, or their tools are missing, what needs them says so in one line. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/lab/command.ts';

describe('a machine that forbids network namespaces', () => {
  let dir = '';
  let forbidden: Record<string, string>;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'holdfast-forbidden-'));
    const refusal = '#!/bin/sh\necho "unshare: unshare failed: Operation not permitted" >&2\nexit 1\n';
    writeFileSync(join(dir, 'unshare'), refusal, { mode: 0o755 });
    forbidden = { PATH: `${dir}:${process.env.PATH}` };
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const skips = 'skipped: this machine forbids network namespaces: ';

  test('scripts/lan skips its story with a line, and ends with 0', () => {
    const lan = fileURLToPath(new URL('../../scripts/lan', import.meta.url));
    const { status, stdout } = spawnSync(lan, { env: { ...process.env, ...forbidden }, encoding: 'utf8' });
    expect(stdout).toBe(`${skips}unshare: unshare failed: Operation not permitted\n`);
    expect(status).toBe(0);
  });

  test('says so in the document of --json too, and of a tool that is missing', async () => {
    const env = { PATH: join(dir, 'nowhere') };
    const { code, stdout } = await runCommand(['lab', 'run', 'partition', '--json'], { env });
    expect(JSON.parse(stdout.toString('utf8'))).toMatchObject({
      scenario: 'partition',
      skipped: 'there is no unshare here',
      steps: [],
    });
    expect(code).toBe(0);
  });

  test('makes no lab with --lan, leaves nothing, and says what to do', async () => {
    const words = ['lab', 'up', '--lan', '--dir', join(dir, 'lab')];
    const { code, stdout, stderr } = await runCommand(words, { env: forbidden });
    expect([code, stdout.length]).toEqual([1, 0]);
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(
      /^holdfast: this machine forbids network namespaces: .*not permitted; leave out --lan$/,
    );
    expect(existsSync(join(dir, 'lab'))).toBe(false);
  });
});
