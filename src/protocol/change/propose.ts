/** §4.3 the leader's part: the value that it proposes. */

import { isBusy } from '../machine/failing-jobs.ts';
import {
  attendedPlans,
  attendsOf,
  draftOfPlan,
  electors,
  headOf,
  instanceOf,
  type ReadableState,
  signingSecret,
} from '../machine/queries.ts';
import { readAuthorKey } from '../machine/record-keys.ts';
import type { Work } from '../machine/work.ts';
import { lastingSuspensions } from '../records/attendance.ts';
import { hashOfEvidence } from '../records/change-messages.ts';
import { fromHex, type Hex, hex } from '../records/codec.ts';
import type { Draft } from '../records/draft-actions.ts';
import { limits } from '../records/limits.ts';
import { present } from '../records/present.ts';
import { leaderOf, memberAt } from '../records/roster.ts';
import type { Suspension } from '../records/value.ts';
import { acceptable } from './acceptable-set.ts';
import { evidenceOf, validProposalOf, votesPackets } from './agree.ts';
import { judgeListed } from './created-parts.ts';
import { signAndPublish } from './message-slots.ts';
import { sumsOf } from './next-keys.ts';
import { assembleValue, decodePublic } from './validity.ts';

/** What the next value suspends: who is suspended and stays, and who signed two Attends for one plan (§4.1). */
function suspensionsOf(state: ReadableState, draft: Draft): Suspension[] {
  const { roster } = headOf(state);
  const byIndex = new Map(lastingSuspensions(headOf(state), draft.roster).map((one) => [one.index, one]));
  for (const [key, { first, second }] of Object.entries(state.durable.contradictions)) {
    const { by: index } = readAuthorKey(key);
    const member = memberAt(roster, index);
    const stays = member !== undefined && memberAt(draft.roster, index)?.peer === member.peer;
    if (stays && !byIndex.has(index)) byIndex.set(index, { index, first, second });
  }
  return [...byIndex.values()].sort((a, b) => a.index - b.index);
}

/**
 * Plans in the order in which a leader prefers them: the longest, but the bare one in odd rounds after three
 * (§4.1).
 */
function plansByPreference(state: ReadableState, round: number): Hex[] {
  const length = (plan: Hex) => state.durable.plans[plan]?.orders.length ?? 0;
  const bareFirst = round >= limits.undecidedRoundsBeforeBarePlan && round % 2 === 1;
  return attendedPlans(state).sort((a, b) => (bareFirst ? length(a) - length(b) : length(b) - length(a)));
}

/** Rule `propose` (lines 11–21): the leader's valid value with its prevotes, else the best plan with full evidence. */
export function propose(work: Work<'propose' | 'propose-again'>): boolean {
  const { rounds } = work.durable.own;
  const signer = signingSecret(work);
  if (rounds === null || signer === null || rounds.step !== 'propose') return false;
  const head = headOf(work);
  if (leaderOf(electors(work), head.epoch, rounds.round).index !== signer.index) return false;
  if (work.durable.proposals[rounds.round] !== undefined) return false;

  if (rounds.valid !== null) {
    const { round: validRound, value: hash } = rounds.valid;
    const earlier = validProposalOf(work, hash)?.entry;
    if (earlier === undefined) return false;
    const prevotes = votesPackets(work, 'prevote', validRound, hash);
    const evidence = { ...evidenceOf(earlier), prevotes };
    signAndPublish(
      work,
      (by) => ({
        v: 1,
        type: 'proposal',
        by,
        epoch: head.epoch + 1,
        round: rounds.round,
        instance: instanceOf(work),
        validRound,
        value: earlier.message.value,
        evidence: hashOfEvidence(evidence),
      }),
      { evidence },
    );
    work.rule('propose-again', { epoch: head.epoch + 1, round: rounds.round, validRound });
    return true;
  }
  const windowOpen =
    rounds.round === 0 && work.volatile.windowEndsAtMs !== null && work.nowMs < work.volatile.windowEndsAtMs;
  for (const plan of plansByPreference(work, rounds.round)) {
    const draft = draftOfPlan(work, plan);
    if (draft === null) continue;
    const { candidate } = work.volatile;
    const isChosen = candidate?.round === rounds.round && candidate.plan === plan;
    if (isChosen && isBusy(work, candidate.tag)) return false;
    judgeListed(work, plan, draft);
    const found = isChosen ? candidate.found : acceptable(work, plan);
    if (found === null) continue;
    if (windowOpen && !found.complete) return false;
    const shown = new Set(found.evidence.attends.map(({ signature }) => hex(signature)));
    const attends = attendsOf(work, plan).filter(({ carried }) => shown.has(hex(carried.packet.signature)));
    const halves = found.accepted.map(({ digest }) =>
      decodePublic(
        present(work.durable.publics[hex(digest)], 'the public half of an accepted dealing').bytes,
      ),
    );
    const summed = sumsOf(work, fromHex(plan), draft, found.accepted, halves);
    if (!('sums' in summed)) {
      const { tag, job } = summed;
      work.volatile.candidate = { round: rounds.round, plan, found, tag };
      work.compute(tag, job);
      return false;
    }
    if (summed.sums === null) continue;
    const { value } = assembleValue(
      work,
      fromHex(plan),
      draft,
      attends.map(({ message }) => message),
      found.accepted,
      summed.sums,
      suspensionsOf(work, draft),
    );
    signAndPublish(
      work,
      (by) => ({
        v: 1,
        type: 'proposal',
        by,
        epoch: value.epoch,
        round: rounds.round,
        instance: instanceOf(work),
        validRound: -1,
        value,
        evidence: hashOfEvidence(found.evidence),
      }),
      { evidence: found.evidence },
    );
    work.rule('propose', { epoch: value.epoch, round: rounds.round, dealings: found.accepted.length });
    return true;
  }
  return false;
}
