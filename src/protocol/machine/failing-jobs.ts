/**
 * Jobs that fail: a worker died, or had no memory. That is a stage which timed out, and says nothing of
 * anybody: the job is started again after a while that grows, for as long as its result is wanted. A batch is
 * then tried item by item, so that one item which kills the worker each time stops no other; that one is
 * given up in the end, here only.
 */

import { limits } from '../records/limits.ts';
import type { Job } from './io.ts';
import { type JobAbout, type JobTag, jobTag, readJobTag } from './job-tags.ts';
import type { ReadableState } from './queries.ts';
import type { Work } from './work.ts';

/** Notes a failure; the same job may start again when its pause is over. */
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

export function jobDone(work: Work, tag: JobTag): void {
  if (work.volatile.failing[tag] === undefined) return;
  const { [tag]: _, ...failing } = work.volatile.failing;
  work.volatile.failing = failing;
}

/** Whether a job failed so often that it is given up where something else can take its place. */
export const isGivenUp = (state: ReadableState, tag: JobTag): boolean =>
  (state.volatile.failing[tag]?.failures ?? 0) >= limits.jobAttemptsMax;

interface Batch<Item> {
  about: JobAbout;
  items: readonly Item[];
  nameOf(item: Item): string | number;
  job(items: Item[]): Job;
}

/**
 * Starts a job over all items, or, once it failed, one for each item that may be tried now.
 * @returns whether a job was started
 */
export function computeBatch<Item>(work: Work, { about, items, nameOf, job }: Batch<Item>): boolean {
  const tag = jobTag(about);
  const tagOf = (item: Item): JobTag => jobTag({ ...about, item: nameOf(item) });
  const left = items.filter((item) => !isGivenUp(work, tagOf(item)));
  if (left.length === 0 || work.volatile.jobs[tag]) return false;
  if (work.volatile.failing[tag] === undefined) return work.compute(tag, job([...left]));
  return left.map((item) => work.compute(tagOf(item), job([item]))).includes(true);
}
