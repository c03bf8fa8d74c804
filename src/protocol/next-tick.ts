/** The timers of the core. All are volatile. */
import type { ReadableState } from './machine/queries.ts';
import { stageMs } from './recovery/asking-state.ts';

/** When the driver must send the next `tick`; null while nothing waits for time. */
export function nextTickAtMs(state: ReadableState): number | null {
  const { volatile } = state;
  const times = [
    volatile.recall?.askAtMs ?? null,
    volatile.refreshAtMs,
    volatile.lastChangeAtMs === null ? null : volatile.lastChangeAtMs + state.timing.minimumIntervalMs,
    volatile.windowEndsAtMs,
    volatile.haveAtMs,
    volatile.retireAtMs,
    volatile.resendAtMs,
    ...recoveryTimes(state),
    ...Object.values(volatile.timers).map((timer) => timer?.atMs ?? null),
    ...Object.values(volatile.failing).map(({ retryAtMs }) => retryAtMs),
  ].filter((at): at is number => at !== null && at > volatile.nowMs);
  return times.length === 0 ? null : Math.min(...times);
}

function recoveryTimes({ volatile, timing }: ReadableState): Array<number | null> {
  const { asking, hold } = volatile.recovery;
  const ends = asking?.run?.stageEndsAtMs ?? null;
  return [
    hold?.untilMs ?? null,
    asking?.sendAtMs ?? null,
    asking?.enoughAtMs ?? null,
    ends,
    ends === null ? null : ends - stageMs({ timing }) / 2,
    volatile.lastChangeAtMs === null ? null : volatile.lastChangeAtMs + 3 * timing.resendMs + 1,
  ];
}
