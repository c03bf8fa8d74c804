/**
 * Command scripts with what they show (after age's tests). A script is lines of
 *
 *     $ command            run by a shell in an empty folder, with holdfast on its path
 *     expected output      standard output; `…` stands for anything
 *     ! expected error     standard error, line by line
 *     exit 3               the exit code, when it is not 0
 *
 * and `#` comments. What a command writes to standard error is compared only where the script says something about it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compileCache } from '../../src/lab/command.ts';

const folder = new URL('./golden/', import.meta.url);
const scripts = fileURLToPath(new URL('../../scripts', import.meta.url));

interface Step {
  command: string;
  stdout: string[];
  stderr: string[];
  exit: number;
}

function parseScript(text: string): Step[] {
  const steps: Step[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue;
    if (line.startsWith('$ ')) {
      steps.push({ command: line.slice(2), stdout: [], stderr: [], exit: 0 });
      continue;
    }
    const step = steps.at(-1);
    if (step === undefined) throw new Error(`a script begins with a command, not with ${line}`);
    if (/^exit \d$/.test(line)) step.exit = Number(line.slice(5));
    else if (line.startsWith('! ')) step.stderr.push(line.slice(2));
    else step.stdout.push(line);
  }
  return steps;
}

const pattern = (lines: readonly string[]): RegExp =>
  new RegExp(
    `^${lines
      .map((line) =>
        line
          .split('…')
          .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*'),
      )
      .join('\\n')}$`,
    's',
  );

describe('commands do what their scripts show', () => {
  // A script has up to forty commands, each a process of its own.
  test.each(readdirSync(folder))('%s', { timeout: 240_000 }, (file) => {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-golden-'));
    try {
      const { HOLDFAST_HOME: _, HOLDFAST_PASSPHRASE: __, CREDENTIALS_DIRECTORY: ___, ...env } = process.env;
      for (const step of parseScript(readFileSync(new URL(file, folder), 'utf8'))) {
        const result = spawnSync('sh', ['-c', step.command], {
          cwd: dir,
          encoding: 'utf8',
          input: '',
          env: { ...env, ...compileCache, PATH: `${scripts}:${env.PATH ?? ''}`, NO_COLOR: '1' },
        });
        const shown = `$ ${step.command}\n${result.stdout}${result.stderr}`;
        expect(result.stdout.trimEnd(), shown).toMatch(pattern(step.stdout));
        if (step.stderr.length > 0) expect(result.stderr.trimEnd(), shown).toMatch(pattern(step.stderr));
        expect(result.status, shown).toBe(step.exit);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
