/** §5 step 3, at the member that recovers: it checks the sums of its helpers, and interpolates its share from them. */
import { tellOfSelf } from '../change/catch-up.ts';
import { updateRecovery } from '../change/recovery-sending.ts';
import { decodePublic } from '../change/validity.ts';
import { isGivenUp } from '../machine/failing-jobs.ts';
import type { Job, JobResult } from '../machine/io.ts';
import { type JobAbout, type JobTag, jobTag } from '../machine/job-tags.ts';
import { endPauses } from '../machine/pauses.ts';
import { headKeys, headLink, headOf, selfIn } from '../machine/queries.ts';
import type { Asking, Run } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { hex } from '../records/codec.ts';
import { present } from '../records/present.ts';
import type { Chosen } from '../records/recovery-messages.ts';
import { giveUp } from './asking-state.ts';
import { choiceName } from './summing.ts';

/**
 * All sums of the chosen helpers are here. A job checks each against v_i and the masks, and interpolates
 * f(r). Then it checks f(r) (step 3).
 */
export function combine(work: Work<'recover-again'>, asking: Asking, run: Run, chosen: Chosen): boolean {
  const self = selfIn(work);
  if (self === undefined) return false;
  const halfOf = new Map(
    chosen.map(({ index, digest }) => [
      index,
      decodePublic(present(run.publics[hex(digest)], 'the mask of each chosen helper').bytes),
    ]),
  );
  const jobOver = (some: Chosen): Job => ({
    kind: 'recover',
    index: self.index,
    keys: headKeys(work).map(({ setting, commitments }, at) => ({
      setting,
      commitments,
      sums: some.map(({ index }) => ({
        by: index,
        mask: halfOf.get(index)?.parts[at]?.commitments ?? [],
        envelope: present(run.sums[index]?.[at], 'a sum of each key from each chosen helper'),
      })),
    })),
    sealingSecret: run.sealingSecret,
    tie: {
      cluster: work.clusterId,
      epoch: asking.epoch,
      plan: run.run,
      digest: choiceName({ helpers: chosen }),
      receiver: self.index,
    },
  });
  const about = { job: 'recover' as const, epoch: asking.epoch, run: hex(run.run) };
  const tag = jobTag(about);
  const tagOf = (index: number): JobTag => jobTag({ ...about, item: index });
  if (work.volatile.failing[tag] === undefined) return work.compute(tag, jobOver(chosen));
  // The worker died. Each helper's contribution is tried alone. A run that cannot be computed makes room for
  // another run.
  const spoilt = chosen.filter(({ index }) => isGivenUp(work, tagOf(index)));
  const untried = chosen.filter(
    (one) => !spoilt.includes(one) && work.volatile.jobs[tagOf(one.index)] !== 'vain',
  );
  if (untried.length > 0)
    return untried.map((one) => work.compute(tagOf(one.index), jobOver([one]))).includes(true);
  if (spoilt.length > 0 || isGivenUp(work, tag))
    return giveUp(
      work,
      asking,
      spoilt.map(({ index }) => index),
    );
  return work.compute(tag, jobOver(chosen));
}

/**
 * Whether a job tries one helper's contribution alone. Such a job only shows whether a worker survives it,
 * and its result is not used.
 */
export const isProbe = ({ job, item }: JobAbout): boolean => job === 'recover' && item !== undefined;

/**
 * The share is back and durable, and its Ready follows. Or the job names false sums or masks, and another run
 * begins.
 */
export function recovered(
  work: Work<'recovered' | 'recover-again'>,
  about: Extract<JobAbout, { job: 'recover' }>,
  result: Extract<JobResult, { kind: 'recover' }>,
): void {
  const { asking } = work.volatile.recovery;
  if (
    isProbe(about) ||
    asking?.run == null ||
    asking.epoch !== about.epoch ||
    hex(asking.run.run) !== about.run ||
    asking.epoch !== headOf(work).epoch
  )
    return;
  const { shares, culprits, falseMasks } = result;
  for (const by of falseMasks) work.blame({ epoch: asking.epoch, by, kind: 'false-mask' });
  for (const by of culprits) work.blame({ epoch: asking.epoch, by, kind: 'false-sum' });
  if (shares === null) {
    giveUp(work, asking, [...falseMasks, ...culprits]);
    return;
  }
  const { value } = headLink(work);
  work.putShares(value, shares);
  updateRecovery(work, { asking: null });
  endPauses(work, ({ index }) => index === selfIn(work)?.index);
  tellOfSelf(work); // An older Ready may be from before this member's store lost the share.
  work.rule('recovered', { epoch: value.epoch });
}
