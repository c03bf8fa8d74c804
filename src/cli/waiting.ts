/** Waiting for what the group does: until it is done, the time is over, or the person has waited enough. */
import { setTimeout as passed } from 'node:timers/promises';
import { type ApiClient, ApiError } from '../client/api-client.ts';
import { interruption } from './context.ts';
import { CommandError, progress, Stopped } from './terminal.ts';

/** After this time a person wants to know whom the command waits for. */
const patienceMs = 5_000;
/** How long a daemon that went away is waited for: a supervisor starts it again within seconds. */
const awayMs = 60_000;
const knockMs = 250;
/** A daemon that is asked who is missing, when the time is over already. */
const answerMs = 2_000;

export interface Wait {
  timeoutMs: number | undefined;
  /** Shown once Ctrl-C does no more than the wait's end; null for nothing. */
  begins: string | null;
  /** The line for who interrupts it. */
  stopped: () => string;
  /** The line for when the time is over; `missing` says who is, as `; missing: c, d`, or is empty. */
  late: (missing: string) => string;
  /** Whether a daemon that went away is waited for, and told all again; left out: it is. */
  comesBack?: () => boolean;
}

/**
 * Asks `check` after every change until its answer is not null; says once, after some seconds, who is missing. Throws
 * `Stopped` when the person interrupts it, `CommandError('not-enough-peers')` when the time is over, and `ApiError`
 * (`not-running`) when the daemon went away and did not come back.
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

/** A daemon that was frozen answers nothing, and lets no call end. */
function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    result.then(resolve, reject);
  });
}

/** Waits until the daemon answers again. Throws `error` when it has not come back in time. */
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
 * Members from whom the daemon waits for something, or else those to which it has no connection; none when it does
 * not say.
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
    return []; // A guess for people only: why the daemon does not answer, the wait itself says.
  }
}
