/** A command that a test watches while it runs. */
import { onTestFinished } from 'vitest';
import { spawnCommand } from '../../src/lab/command.ts';

/** A command that runs. */
export interface UnderWay {
  /** Resolves when these words are on standard error. Rejects when the command ends without them. */
  says: (words: string) => Promise<void>;
  end: () => Promise<{ code: number | null; stdout: string; stderr: string }>;
  kill: (signal: NodeJS.Signals) => void;
}

/** Starts `holdfast …args`. The command ends at the latest with the test. */
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
