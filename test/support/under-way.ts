/** A command that is watched while it runs: what it says on standard error, and when. */
import { onTestFinished } from 'vitest';
import { spawnCommand } from '../../src/lab/command.ts';

export interface UnderWay {
  /** Resolves when these words stand on standard error; rejects when the command ends without them. */
  says: (words: string) => Promise<void>;
  end: () => Promise<{ code: number | null; stdout: string; stderr: string }>;
  kill: (signal: NodeJS.Signals) => void;
}

/** Starts `holdfast …args`; it does not outlive the test. */
export function startCommand(args: readonly string[], env: Record<string, string>): UnderWay {
  const child = spawnCommand(args, env, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  const looks = new Set<() => void>();
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += String(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += String(chunk);
    for (const look of looks) look();
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    says: (words) =>
      new Promise((resolve, reject) => {
        const look = () => (stderr.includes(words) ? resolve() : undefined);
        looks.add(look);
        look();
        void ended.then(() => reject(new Error(`it never said "${words}", but: ${stderr}`)));
      }),
    end: async () => ({ code: await ended, stdout, stderr }),
    kill: (signal) => void child.kill(signal),
  };
}
