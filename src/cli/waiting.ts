/** Waiting for what the group does: until it is done, the time is over, or the person has waited enough. */
import type { ApiClient } from '../api/client.ts';
import { interruption } from './context.ts';
import { CommandError, progress, Stopped } from './terminal.ts';

/** After this time a person wants to know whom the command waits for. */
const patienceMs = 5_000;

export interface Wait {
  timeoutMs: number | undefined;
  /** Shown once Ctrl-C does no more than the wait's end. */
  begins: string;
  /** The line for who interrupts it. */
  stopped: string;
  /** The line for when the time is over; `missing` says who is, as `; missing: c, d`, or is empty. */
  late: (missing: string) => string;
}

/**
 * Asks `check` after every change until its answer is not null; says once, after some seconds, who is missing. Throws
 * `Stopped` when the person interrupts it, and `CommandError('not-enough-peers')` when the time is over.
 */
export async function untilDone<T>(
  daemon: ApiClient,
  check: () => Promise<T | null>,
  { timeoutMs, begins, stopped, late }: Wait,
): Promise<T> {
  const signal = interruption(timeoutMs, stopped);
  progress(begins);
  const hint = setTimeout(async () => {
    const names = await missingMembers(daemon);
    if (names.length > 0 && !signal.aborted) progress(`still waiting; missing: ${names.join(', ')}`);
  }, patienceMs);
  try {
    return await daemon.until(check, signal);
  } catch (error) {
    if (!signal.aborted || error instanceof CommandError) throw error;
    if (signal.reason instanceof Stopped) throw signal.reason;
    const names = await missingMembers(daemon);
    throw new CommandError(
      'not-enough-peers',
      late(names.length === 0 ? '' : `; missing: ${names.join(', ')}`),
    );
  } finally {
    clearTimeout(hint);
  }
}

/** Members from whom the daemon waits for something, or else those to which it has no link; none when it does not say. */
async function missingMembers(daemon: ApiClient): Promise<string[]> {
  try {
    const { change } = await daemon.status();
    if (change !== null && change.missing.length > 0) return change.missing;
    const peers = await daemon.peers();
    return peers
      .filter((peer) => peer.state === 'member' && !peer.self && !peer.connected)
      .map(({ name }) => name);
  } catch {
    return []; // A guess for people only: why the daemon does not answer, the wait itself says.
  }
}
