/**
 * §4 "Joint creation": whether members' parts of new keys are true. A job judges each dealing once. The
 * result is remembered by the dealing's digest. Until then nobody lists, proposes or prevotes the dealing.
 */
import { isAnyUnderWay, isBusy, isGivenUp } from '../machine/failing-jobs.ts';
import type { CreatedPart, Job } from '../machine/io.ts';
import { type JobTag, jobTag } from '../machine/job-tags.ts';
import { draftOfPlan, havesOf, type ReadableState } from '../machine/queries.ts';
import type { Work } from '../machine/work.ts';
import { type DealingPublic, dealingPublicSchema } from '../records/change-messages.ts';
import { decode, type Hex, hex, sameBytes } from '../records/codec.ts';
import type { Draft } from '../records/draft-actions.ts';
import { isUnmade, operatorDealer } from '../records/value.ts';

/** Whether the parts of new keys in a member's dealing are true. Without such parts it is `true`. */
type PartsVerdict = 'true' | 'false' | 'unjudged';

/** @param digest of a dealing for the plan of this draft */
export const partsVerdict = (
  state: ReadableState,
  draft: Pick<Draft, 'keys'>,
  dealer: number,
  digest: Hex,
): PartsVerdict =>
  dealer === operatorDealer || !draft.keys.some(isUnmade) ? 'true' : memberVerdict(state, digest);

function memberVerdict(state: ReadableState, digest: Hex): PartsVerdict {
  // What this member holds as a receiver was judged before it became durable, also before a restart.
  if (state.durable.subShares[digest] !== undefined) return 'true';
  const isTrue = state.volatile.parts[digest];
  return isTrue === undefined ? 'unjudged' : isTrue ? 'true' : 'false';
}

export const judgeTag = (plan: Hex, digest: Hex): JobTag => jobTag({ job: 'judge-parts', plan, digest });

/**
 * The job that judges the parts in a public half. The half has passed `checkPublic` for this draft's plan.
 */
export function judgingJob(cluster: Uint8Array, { keys, threshold }: Draft, half: DealingPublic): Job {
  const parts = half.parts.flatMap(({ key: creation, commitments, possession }): CreatedPart[] => {
    const key = keys.find(({ id }) => sameBytes(id, creation));
    if (key === undefined || !isUnmade(key) || possession === undefined) return [];
    return [{ kind: key.kind, creation, commitments, possession }];
  });
  return { kind: 'judge-parts', cluster, plan: half.plan, dealer: half.dealer, threshold, parts };
}

/** Starts a job for a half that is known and not judged yet. @returns whether one was started */
function judge(work: Work, plan: Hex, draft: Draft, digest: Hex): boolean {
  const tag = judgeTag(plan, digest);
  const known = work.durable.publics[digest];
  // What costs nothing comes first: the rules that ask run after every input, and a half can be long.
  if (known === undefined || isBusy(work, tag) || memberVerdict(work, digest) !== 'unjudged') return false;
  const half = decode(dealingPublicSchema, known.bytes);
  if (hex(half.plan) !== plan || partsVerdict(work, draft, half.dealer, digest) !== 'unjudged') return false;
  return work.compute(tag, judgingJob(work.clusterId, draft, half));
}

/**
 * Rule `judge-parts`: has dealings in the inbox judged, one after the other as they came. So 64 of them never
 * hold up a use of a key that needs a worker too.
 */
export function judgeParts(work: Work): boolean {
  return (
    !isAnyUnderWay(work, 'judge-parts') &&
    Object.values(work.volatile.inbox).some(({ plan, digest }) => {
      const draft = draftOfPlan(work, plan);
      const wanted = draft?.keys.some(isUnmade) && !isGivenUp(work, judgeTag(plan, digest));
      return draft !== null && wanted && judge(work, plan, draft, digest);
    })
  );
}

/**
 * Has dealings judged that Haves list and of which a leader knows the public half only. It never received
 * their numbers, or lost them in a restart.
 */
export function judgeListed(work: Work, plan: Hex, draft: Draft): void {
  if (!draft.keys.some(isUnmade) || isAnyUnderWay(work, 'judge-parts')) return;
  const listed = new Set(havesOf(work, plan).flatMap(({ message }) => message.digests.map(hex)));
  [...listed].some((digest) => judge(work, plan, draft, digest));
}

/**
 * Takes in what a job has found of a dealing's parts of new keys. Once the change is decided nobody needs it.
 */
export function partsJudged(work: Work, plan: Hex, digest: Hex, isTrue: boolean): void {
  if (draftOfPlan(work, plan) !== null) work.volatile.parts = { ...work.volatile.parts, [digest]: isTrue };
}
