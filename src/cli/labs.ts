/** Shared parts of the `holdfast lab` commands. They load the lab's code only when they need it. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Lab, SafePrimes } from '../lab/lab.ts';
import type { StatusView } from '../node/views/view.ts';
import { optionsOf } from './context.ts';
import { checkKeySize, readPrimes } from './primes.ts';
import { CommandError } from './terminal.ts';

/** The folder of the lab. */
export interface DirOption {
  dir: string;
}

/** In milliseconds. A paused daemon never answers. */
const answerMs = 2000;

/** The option that names the lab's folder. */
export const dirOption = (): Option =>
  new Option('--dir <dir>', 'where the lab lives').default(
    join(homedir(), '.holdfast-lab'),
    '~/.holdfast-lab',
  );

/** The hidden option that spares tests the search for primes. */
export const primesOption = (): Option =>
  new Option('--primes-file <file>', 'JSON with hex p and q, instead of a search for them').hideHelp();

/**
 * The material of the lab's key: its bits, or safe primes in hex.
 * @throws CommandError for material that `key create` would refuse, before any daemon starts
 */
export async function sourceOf(primesFile: string | undefined, bits: number): Promise<number | SafePrimes> {
  if (primesFile === undefined) {
    checkKeySize(bits);
    return bits;
  }
  const { p, q } = await readPrimes(primesFile);
  return { p: p.toString(16), q: q.toString(16) };
}

/** Opens the lab in `dir`. Throws `CommandError('failed')` when there is none. */
export async function openLab(dir: string): Promise<Lab> {
  const { Lab } = await import('../lab/lab.ts');
  const { isLab } = await import('../lab/lab-state.ts');
  if (!isLab(resolve(dir)))
    throw new CommandError(
      'failed',
      `there is no lab in ${dir}; make one with: holdfast lab up --dir ${dir}`,
    );
  return Lab.open(resolve(dir));
}

/** Opens the lab for one command, and leaves it running afterwards. */
export async function withLab(command: Command, use: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await openLab(optionsOf<DirOption>(command).dir);
  try {
    await use(lab);
  } finally {
    await lab.release();
  }
}

/**
 * The status of one peer of the lab. Null when the peer does not run, or does not answer within two seconds.
 */
export async function statusOf(lab: Lab, name: string): Promise<StatusView | null> {
  const { running, api } = lab.peer(name);
  if (!running) return null;
  const limit = AbortSignal.timeout(answerMs);
  const silent = new Promise<null>((answer) => limit.addEventListener('abort', () => answer(null)));
  return Promise.race([api.status().catch(() => null), silent]);
}
