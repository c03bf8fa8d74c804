/** Runs commands on a terminal, as a person does. The terminal asks, and waits for typed text. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileCache } from '../../src/lab/command.ts';

const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/**
 * Runs `holdfast …args` on a terminal of its own (util-linux `script`). It presses `keys` when the terminal
 * shows `after`, one pair after the other.
 * @returns the exit code, and everything that the terminal showed
 */
export async function runOnTerminal(
  args: readonly string[],
  env: Record<string, string>,
  presses: ReadonlyArray<{ after: string; keys: string }>,
): Promise<{ code: number | null; shown: string }> {
  const words = [process.execPath, '--disable-warning=ExperimentalWarning', mainFile, ...args];
  // `exec` replaces the shell. Otherwise Ctrl-C would end the shell, and the shell's exit code would be seen.
  const child = spawn('script', ['-qec', `exec ${words.map(quoted).join(' ')}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...compileCache, NO_COLOR: '1', ...env },
  });
  let shown = '';
  let seen = 0;
  const waiting = [...presses];
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString('utf8');
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const at = shown.indexOf(next.after, seen);
      if (at < 0) return;
      seen = at + next.after.length;
      waiting.shift();
      child.stdin.write(next.keys);
    }
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  child.stdin.end();
  return { code, shown: shown.replaceAll('\r', '') };
}
