/**
 * Jobs that fail, because a worker died or had no memory. A failure is like a stage that timed out, and
 * blames nobody. The job starts again after a pause that grows, as long as its result is wanted. A failed
 * batch is then tried item by item. So an item that kills the worker each time does not stop the others. This
 * member gives that item up in the end, and no other member does so because of it.
 */

import { limits } from '../records/limits.ts';
import type { Job } from './io.ts';
import { type JobAbout, type JobTag, jobTag, readJobTag } from './job-tags.ts';
import type { ReadableState } from './queries.ts';
import type { Work } from './work.ts';

/** Notes a failure. The same job may start again when its pause is over. */
export function jobFailed(work: Work<'job-failed'>, tag: JobTag, cause: string): void {
  const failures = (work.volatile.failing[tag]?.failures ?? 0) + 1;
  const pauseMs = Math.min(work.timing.resendMs * 2 ** (failures - 1), work.timing.resendMaxMs);
  const sinceMs = work.volatile.failing[tag]?.sinceMs ?? work.nowMs;
  const { [tag]: _, ...others } = work.volatile.failing;
  work.volatile.failing = {
    ...Object.fromEntries(Object.entries(others).slice(1 - limits.failingJobsKept)),
    [tag]: { failures, sinceMs, retryAtMs: work.nowMs + pauseMs, cause },
  };
  work.rule('job-failed', { job: readJobTag(tag).job, failures, cause });
}

/** Forgets the failures of a job that has succeeded. */
export function jobDone(work: Work, tag: JobTag): void {
  if (work.volatile.failing[tag] === undefined) return;
  const { [tag]: _, ...failing } = work.volatile.failing;
  work.volatile.failing = failing;
}

/** Whether a job is under way, or failed a moment ago: it is not started now. */
export const isBusy = (state: ReadableState, tag: JobTag): boolean =>
  state.volatile.jobs[tag] !== undefined ||
  state.volatile.nowMs < (state.volatile.failing[tag]?.retryAtMs ?? 0);

export const isAnyUnderWay = (state: ReadableState, job: JobAbout['job']): boolean =>
  Object.entries(state.volatile.jobs).some(
    ([tag, how]) => how === 'under way' && readJobTag(tag).job === job,
  );

/** Whether a job failed so often that it is given up, where something else can take its place. */
export const isGivenUp = (state: ReadableState, tag: JobTag): boolean =>
  (state.volatile.failing[tag]?.failures ?? 0) >= limits.jobAttemptsMax;

interface Batch<Item> {
  about: JobAbout;
  items: readonly Item[];
  nameOf(item: Item): string | number;
  job(items: Item[]): Job;
}

/**
 * Starts one job over all items. After that job has failed, it starts one job for each item that may be tried
 * now. @returns whether a job was started
 */
export function computeBatch<Item>(work: Work, { about, items, nameOf, job }: Batch<Item>): boolean {
  const tag = jobTag(about);
  const tagOf = (item: Item): JobTag => jobTag({ ...about, item: nameOf(item) });
  const left = items.filter((item) => !isGivenUp(work, tagOf(item)));
  if (left.length === 0 || work.volatile.jobs[tag]) return false;
  if (work.volatile.failing[tag] === undefined) return work.compute(tag, job([...left]));
  return left.map((item) => work.compute(tagOf(item), job([item]))).includes(true);
}
