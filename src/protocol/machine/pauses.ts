/**
 * What recoveries and changes did to each other (§5), kept for the history that people read: for whom this
 * member held the next change back, and who was told to wait for it. Nothing in the protocol depends on it.
 */
import { pauseKey } from './record-keys.ts';
import { retainNewestOfMember } from './retention.ts';
import type { Pause } from './state.ts';
import type { Work } from './work.ts';

/** Notes a hold or a wait that begins now; at most one of a kind for each member and change. */
export function beginPause(work: Work, kind: Pause['kind'], index: number, epoch: number): void {
  const key = pauseKey({ epoch, kind, index });
  if (work.durable.pauses[key] !== undefined) return;
  const fromMs = Math.floor(work.volatile.wallMs);
  work.put('pauses', key, { kind, epoch, index, fromMs, untilMs: fromMs + work.timing.recoveryHoldMs });
  retainNewestOfMember(work, 'pauses', index);
}

/** Ends now what still lasts of those that `which` names. */
export function endPauses(work: Work, which: (pause: Pause) => boolean): void {
  const nowMs = Math.floor(work.volatile.wallMs);
  for (const pause of Object.values(work.durable.pauses))
    if (pause.untilMs > nowMs && which(pause))
      work.put('pauses', pauseKey(pause), { ...pause, untilMs: nowMs });
}
