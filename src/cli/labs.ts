/**
 * What the commands of a lab share: where it lives, opening it, and what its peers say. The lab's code is
 * loaded late.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Lab, SafePrimes } from '../lab/lab.ts';
import type { StatusView } from '../node/views/view.ts';
import { optionsOf } from './context.ts';
import { checkKeySize, readPrimes } from './primes.ts';
import { CommandError } from './terminal.ts';

export interface DirOption {
  dir: string;
}

/** A paused daemon never answers. */
const answerMs = 2000;

export const dirOption = (): Option =>
  new Option('--dir <dir>', 'where the lab lives').default(
    join(homedir(), '.holdfast-lab'),
    '~/.holdfast-lab',
  );

export const primesOption = (): Option =>
  new Option('--primes-file <file>', 'JSON with hex p and q, instead of a search for them').hideHelp();

/** What the lab's key is made of. Throws `CommandError` for what `key create` would refuse when all daemons are up. */
export async function sourceOf(primesFile: string | undefined, bits: number): Promise<number | SafePrimes> {
  if (primesFile === undefined) {
    checkKeySize(bits);
    return bits;
  }
  const { p, q } = await readPrimes(primesFile);
  return { p: p.toString(16), q: q.toString(16) };
}

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

/** Opens the lab for one command, and leaves it running. */
export async function withLab(command: Command, use: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await openLab(optionsOf<DirOption>(command).dir);
  try {
    await use(lab);
  } finally {
    await lab.release();
  }
}

/** Null of a peer that does not run, or does not answer within two seconds. */
export async function statusOf(lab: Lab, name: string): Promise<StatusView | null> {
  const { running, api } = lab.peer(name);
  if (!running) return null;
  const limit = AbortSignal.timeout(answerMs);
  const silent = new Promise<null>((answer) => limit.addEventListener('abort', () => answer(null)));
  return Promise.race([api.status().catch(() => null), silent]);
}
