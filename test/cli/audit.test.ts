/** `holdfast audit` shows the lines of a home, follows new ones, and ends with 1 when the log was changed. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { spawnCommand } from '../../src/lab/command.ts';
import { AuditLog } from '../../src/node/audit/audit-log.ts';
import { auditFiles } from '../../src/node/audit/files.ts';
import { Bench } from './holdfast.ts';

describe('holdfast audit', () => {
  const bench = new Bench();
  const folder = join(bench.path('A'), 'audit');
  let log: AuditLog;
  const file = (): string => auditFiles(folder)[0]?.path ?? '';

  beforeAll(async () => {
    await bench.init();
    log = await AuditLog.open({
      folder,
      fileBytesMax: 1024 * 1024,
      filesKept: 4,
      wallMs: Date.now,
      remembered: null,
      remember: async () => {},
      onTrouble: () => {},
    });
    await log.append({
      ...{ event: 'use', outcome: 'answered', epoch: 3, signers: ['a', 'c'], code: null },
      ...{ client: '00', clientName: 'build', key: '11', keyName: 'ca', operation: 'sign' },
      ...{ scheme: 'pss', hash: 'sha256', digest: '22'.repeat(32), request: '33' },
    });
    await log.append({ event: 'epoch', phase: 'decided', epoch: 4, value: '44' });
  });
  afterAll(async () => {
    await log.close();
    await bench.close();
  });

  test('shows who asked for what and who answered, and with --json the lines themselves', async () => {
    expect(await bench.must(['audit'])).toMatch(
      /^\S+Z {2}build: sign with ca pss sha256 2222222222222222…: answered in epoch 3 by a, c\n\S+Z {2}epoch 4 is decided\n$/,
    );
    const [, line = ''] = readFileSync(file(), 'utf8').split('\n');
    expect(JSON.parse(await bench.must(['audit', '--json', '--last', '1']))).toEqual({
      lines: [JSON.parse(line)],
    });
  });

  test('follows what is written, until it is interrupted, with --json line by line as it stands', async () => {
    const env = { HOLDFAST_HOME: bench.path('A') };
    const words = ['audit', '--follow', '--json'];
    const child = spawnCommand(words, env, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const lines: string[] = [];
      const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
      if (child.stdout === null) throw new Error('unreachable: it is piped');
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line);
        if (lines.length === 2) await log.append({ event: 'epoch', phase: 'retired', epoch: 4, value: '44' });
        if (lines.length === 3) child.kill('SIGINT');
      }
      expect(lines).toEqual(readFileSync(file(), 'utf8').trimEnd().split('\n'));
      expect(lines.at(-1)).toContain('"retired"');
      expect(await ended).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('is looked at by doctor too, which says when the daemon does not run', async () => {
    const { code, stdout } = await bench.run(['doctor', '--json']);
    const { problems } = JSON.parse(stdout.toString()) as { problems: Array<{ code: string }> };
    const codes = problems.map((problem) => problem.code);
    expect(code).toBe(1);
    expect(codes).toContain('not-running');
    expect(codes).not.toContain('audit-damaged');
  });

  test('finds a change, and says what cannot be known without a daemon', async () => {
    const whole = await bench.run(['audit', '--verify']);
    expect(whole.code).toBe(0);
    expect(whole.stdout.toString()).toBe(
      'lines 1 to 3 in 1 file are whole\nthe daemon does not run: whether lines are missing at the beginning or the end, it says when it starts\n',
    );
    const path = file();
    const text = readFileSync(path, 'utf8');
    rmSync(path);
    writeFileSync(path, text.replace('"epoch":4', '"epoch":5'), { mode: 0o600 });
    const changed = await bench.run(['audit', '--verify', '--json']);
    expect(changed.code).toBe(1);
    expect(JSON.parse(changed.stdout.toString())).toMatchObject({
      whole: false,
      findings: [expect.stringMatching(/line 2 was changed/)],
    });
    expect(changed.stderr).toBe('holdfast: the audit log was changed\n');
  });
});
