/** Computations that fail again and again on this machine, as a problem for `status` and `doctor`. */
import { readJobTag } from '../../protocol/machine/job-tags.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import type { Problem } from './view.ts';

/** Fewer failures are no problem: a worker may die once. */
const noticeAfterFailures = 3;

/** The job that fails most often, as a problem. None when no job fails again and again. */
export function failingJobProblems({ volatile }: Pick<CoreState, 'volatile'>): Problem[] {
  const lasting = Object.entries(volatile.failing).filter(
    ([, { failures }]) => failures >= noticeAfterFailures,
  );
  const [worst] = lasting.toSorted(([, one], [, other]) => other.failures - one.failures);
  if (worst === undefined) return [];
  const [tag, { failures, cause }] = worst;
  return [
    {
      code: 'computations-fail',
      what: `A computation (${readJobTag(tag).job}) has failed ${failures} times on this machine: ${cause}. Until it succeeds this peer may be without its part in the change.`,
      remedy:
        'It is tried again by itself. See whether the machine has memory left, and whether its log names a reason.',
    },
  ];
}
