/** What a recovering member keeps of its question and its run, in memory only. */
import { updateRecovery } from '../change/recovery-sending.ts';
import { headOf, type ReadableState } from '../machine/queries.ts';
import type { Asking, Run } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';

/**
 * A stage of a run waits so long for silent helpers, in milliseconds. That is time for some repeated
 * messages. It is also short enough that a run, and a second run without those helpers, fit into the hold of
 * the helpers.
 */
export const stageMs = ({ timing }: Pick<ReadableState, 'timing'>): number =>
  Math.max(2 * timing.resendMs, Math.min(8 * timing.resendMs, timing.recoveryHoldMs / 2));

/** Changes the asking of this member. */
export const setAsking = (work: Work, asking: Asking, by: Partial<Asking>): void =>
  updateRecovery(work, { asking: { ...asking, ...by } });
/** Changes the run under way. */
export const setRun = (work: Work, asking: Asking, run: Run, by: Partial<Run>): void =>
  setAsking(work, asking, { run: { ...run, ...by } });

/** A new question to all helpers. `failed` helpers are left out while `k` others grant. */
export const freshAsking = (work: Work, failed: Asking['failed']): Asking => ({
  epoch: headOf(work).epoch,
  nonce: work.draw(32),
  grants: {},
  waits: {},
  enoughAtMs: null,
  sendAtMs: work.nowMs,
  failed,
  run: null,
});

/** A run has failed, so a new asking begins. The failed helpers are left out while `k` others grant. */
export function giveUp(work: Work<'recover-again'>, asking: Asking, failed: readonly number[]): boolean {
  work.rule('recover-again', { epoch: asking.epoch, without: failed.length });
  const all = {
    ...asking.failed,
    ...Object.fromEntries(failed.map((index) => [String(index), true as const])),
  };
  updateRecovery(work, { asking: { ...freshAsking(work, all), sendAtMs: work.nowMs } });
  return true;
}
