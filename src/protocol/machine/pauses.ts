/**
 * The times in which a recovery and a change waited for each other (§5), for people who read the history. A
 * hold is a change that this member held back for a recovery. A wait is a recovery that was told to wait for
 * a change. No rule of the protocol depends on them.
 */

import type { Pause } from './durable-state.ts';
import { pauseKey } from './record-keys.ts';
import { retainNewestOfMember } from './retention.ts';
import type { Work } from './work.ts';

/** Notes a hold or a wait that begins now. There is at most one of a kind for each member and change. */
export function beginPause(work: Work, kind: Pause['kind'], index: number, epoch: number): void {
  const key = pauseKey({ epoch, kind, index });
  if (work.durable.pauses[key] !== undefined) return;
  const fromMs = Math.floor(work.volatile.wallMs);
  work.put('pauses', key, { kind, epoch, index, fromMs, untilMs: fromMs + work.timing.recoveryHoldMs });
  retainNewestOfMember(work, 'pauses', index);
}

/** Ends now the unfinished holds and waits that `which` selects. */
export function endPauses(work: Work, which: (pause: Pause) => boolean): void {
  const nowMs = Math.floor(work.volatile.wallMs);
  for (const pause of Object.values(work.durable.pauses))
    if (pause.untilMs > nowMs && which(pause))
      work.put('pauses', pauseKey(pause), { ...pause, untilMs: nowMs });
}
