/**
 * Every script of `scripts/` prints its usage, and refuses an option that it does not have. A script whose
 * program has moved fails here.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const folder = new URL('../scripts/', import.meta.url).pathname;
const scripts = readdirSync(folder).filter(
  (name) => statSync(join(folder, name)).isFile() && !name.endsWith('.ts'),
);

const run = (script: string, argument: string) => {
  const { status, stdout, stderr } = spawnSync(join(folder, script), [argument], { encoding: 'utf8' });
  return { status, stdout, stderr };
};

describe.each(scripts)('scripts/%s', (script) => {
  test('--help prints its usage', () =>
    expect(run(script, '--help')).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^usage: /i),
      stderr: '',
    }));
});

// `scripts/test` gives its arguments to the test runner, and only after types and lint.
test.each(scripts.filter((script) => script !== 'test'))(
  'scripts/%s: a misspelt option gets one line and exit code 2',
  (script) =>
    expect(run(script, '--hlep')).toEqual({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^[^\n]*--hlep[^\n]*\n$/),
    }),
);

test('the folder of scripts was read', () => expect(scripts).toContain('holdfast'));
