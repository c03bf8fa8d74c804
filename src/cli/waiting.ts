/**
 * Waiting for the group. The wait ends when the group is done, when the time is over, or when the person
 * stops it.
 */
import { setTimeout as passed } from 'node:timers/promises';
import { type ApiClient, ApiError } from '../client/api-client.ts';
import { interruption } from './context.ts';
import { CommandError, progress, Stopped } from './terminal.ts';

/** In milliseconds. After this time the person is told for whom the command waits. */
const patienceMs = 5_000;
/**
 * How long the command waits for a daemon that went away, in milliseconds. A supervisor starts it again
 * within seconds.
 */
const awayMs = 60_000;
const knockMs = 250;
/** When the time is over, the daemon gets this many milliseconds to name the missing members. */
const answerMs = 2_000;

/** How one wait begins and ends. */
export interface Wait {
  timeoutMs: number | undefined;
  /**
   * The line at the beginning. It is shown when Ctrl-C ends only the wait, and not more. Null for no line.
   */
  begins: string | null;
  /** The line for a person who stops the wait. */
  stopped: () => string;
  /** The line for a timeout. `missing` names the missing members, as `; missing: c, d`, or is empty. */
  late: (missing: string) => string;
  /** Whether the command waits for a daemon that went away. Left out: it does. */
  comesBack?: () => boolean;
}

/**
 * Calls `check` after every change until the answer is not null. After some seconds it names the missing
 * members, once.
 * @throws Stopped when the person stops it
 * @throws CommandError `not-enough-peers` when the time is over
 * @throws ApiError `not-running` when the daemon went away and did not come back
 */
export async function untilDone<T>(
  daemon: ApiClient,
  check: () => Promise<T | null>,
  { timeoutMs, begins, stopped, late, comesBack = () => true }: Wait,
): Promise<T> {
  const signal = interruption(timeoutMs, stopped);
  if (begins !== null) progress(begins);
  const hint = setTimeout(async () => {
    const names = await missingMembers(daemon);
    if (names.length > 0 && !signal.aborted) progress(`still waiting; missing: ${names.join(', ')}`);
  }, patienceMs);
  let away: ApiError | null = null;
  try {
    for (;;) {
      try {
        return await unlessAborted(daemon.until(check, signal), signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof ApiError) || error.code !== 'not-running' || !comesBack())
          throw error;
        away = error;
        progress(`the daemon went away; waiting up to ${awayMs / 1000} s for it to come back…`);
        await isBack(daemon, error, signal);
        away = null;
        progress('the daemon is back');
      }
    }
  } catch (error) {
    if (!signal.aborted || error instanceof CommandError) throw error;
    if (signal.reason instanceof Stopped) throw signal.reason;
    if (away !== null) throw away;
    const names = await Promise.race([missingMembers(daemon), passed(answerMs, [], { ref: false })]);
    throw new CommandError(
      'not-enough-peers',
      late(names.length === 0 ? '' : `; missing: ${names.join(', ')}`),
    );
  } finally {
    clearTimeout(hint);
  }
}

/** Ends with the signal, because a frozen daemon lets no call end. */
function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    result.then(resolve, reject);
  });
}

/** Waits until the daemon answers again. Throws `error` when it does not come back in time. */
async function isBack(daemon: ApiClient, error: ApiError, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + awayMs;
  while (performance.now() < endMs) {
    await passed(knockMs, undefined, { signal });
    try {
      await daemon.status();
      return;
    } catch (refused) {
      if (!(refused instanceof ApiError) || refused.code !== 'not-running') throw refused;
    }
  }
  throw error;
}
/**
 * The members for which the daemon waits. When it waits for none, the members to which it has no connection.
 * Empty when the daemon does not answer.
 */
async function missingMembers(daemon: ApiClient): Promise<string[]> {
  try {
    const { change } = await daemon.status();
    if (change !== null && change.missing.length > 0) return change.missing;
    const peers = await daemon.peers();
    return peers
      .filter((peer) => peer.state === 'member' && !peer.self && !peer.connected)
      .map(({ name }) => name);
  } catch {
    return []; // the names are only a hint; the wait itself says why the daemon does not answer
  }
}
