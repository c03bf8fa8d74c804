/** §4.3 the leader's part: the set of dealings that it may accept, and the value that it proposes. */

import { validProposalOf, votesPackets } from './agree.ts';
import { lastingSuspensions } from './attendance.ts';
import { fromHex, hex } from './codec.ts';
import type { Draft } from './draft.ts';
import { largestHeldWhole } from './held-whole.ts';
import { limits } from './limits.ts';
import { type Evidence, hashOfEvidence } from './messages.ts';
import {
  attendedPlans,
  attendsOf,
  changeQuorum,
  contradicting,
  draftOfPlan,
  electors,
  havesOf,
  headOf,
  instanceOf,
  signingSecret,
  type View,
} from './queries.ts';
import { leaderOf, memberAt } from './roster.ts';
import { say } from './say.ts';
import type { Hex } from './state.ts';
import { assembleValue, decodePublic, holdersNeededFor, isPublicOf, sortAccepted } from './validity.ts';
import type { Accepted, Suspension } from './value.ts';
import type { Work } from './work.ts';

/**
 * The largest set of dealings, one per dealer, that enough members of both rosters hold whole, with what shows it; of a
 * dealer with two dealings the one with more holders is considered.
 */
export function acceptable(
  view: View,
  plan: Hex,
): { accepted: Accepted[]; evidence: Evidence; complete: boolean } | null {
  const draft = draftOfPlan(view, plan);
  const orders = view.durable.plans[plan]?.orders;
  if (draft === null || orders === undefined) return null;
  const head = headOf(view);
  const left = contradicting(view);
  const attends = attendsOf(view, plan).filter(({ message }) => !left.has(message.by));
  if (attends.length < changeQuorum(view)) return null;
  const attending = new Set(attends.map(({ message }) => message.by));
  const haves = havesOf(view, plan)
    .filter(
      ({ message }) => memberAt(draft.roster, message.by)?.peer === memberAt(head.roster, message.by)?.peer,
    )
    .map((entry) => ({ entry, listed: new Set(entry.message.digests.map(hex)) }));

  const holders = new Map<Hex, number>();
  for (const { listed } of haves)
    for (const digest of listed) holders.set(digest, (holders.get(digest) ?? 0) + 1);
  const candidates: Array<{ dealer: number; digest: Hex; held: number; key: Hex }> = [];
  for (const [digest, held] of holders) {
    const half = view.durable.publics[digest];
    if (half === undefined) continue;
    const decoded = decodePublic(half.bytes);
    // What a liar listed may be a half for anything; one of a key that is not created would be required, and held by nobody.
    if (!isPublicOf(head.epoch + 1, fromHex(plan), draft, decoded)) continue;
    const { dealer, parts } = decoded;
    if (dealer !== 0 && !attending.has(dealer)) continue;
    const key = dealer === 0 ? hex(parts[0]?.key ?? new Uint8Array()) : String(dealer);
    candidates.push({ dealer, digest, held, key });
  }
  candidates.sort((a, b) => b.held - a.held || (a.digest < b.digest ? -1 : 1));
  const single = candidates.filter(
    (one, at) => candidates.findIndex((other) => other.key === one.key) === at,
  );
  if (!draft.created.every(({ key }) => single.some((one) => one.key === hex(key.id)))) return null;

  const dealersOf = (list: typeof single) => list.filter(({ dealer }) => dealer !== 0).length;
  const spareDealings = dealersOf(single) - Math.max(draft.threshold, head.threshold);
  const spareHolders = haves.length - holdersNeededFor(view, draft);
  if (spareDealings < 0 || spareHolders < 0) return null;
  const names = largestHeldWhole({
    dealings: single.map(({ digest, dealer }) => ({ name: digest, required: dealer === 0 })),
    holders: haves.map(({ entry, listed }) => ({ name: String(entry.message.by), listed })),
    spare: { dealings: spareDealings, holders: spareHolders },
  });
  if (names === null) return null;
  const chosen = single.filter(({ digest }) => names.has(digest));
  const whole = haves.filter(({ listed }) => chosen.every(({ digest }) => listed.has(digest)));
  return {
    accepted: sortAccepted(chosen.map(({ dealer, digest }) => ({ dealer, digest: fromHex(digest) }))),
    evidence: {
      attends: attends.map(({ carried }) => carried.packet),
      haves: whole.map(({ entry }) => entry.carried.packet),
      orders,
      prevotes: [],
    },
    complete:
      attends.length === electors(view).length &&
      dealersOf(chosen) === attends.length &&
      whole.length === haves.length &&
      haves.length === attends.length,
  };
}

/** What the next value suspends: who is suspended and stays, and who signed two Attends for one plan (§4.1). */
function suspensionsOf(view: View, draft: Draft): Suspension[] {
  const { roster } = headOf(view);
  const byIndex = new Map(lastingSuspensions(headOf(view), draft.roster).map((one) => [one.index, one]));
  for (const [key, { first, second }] of Object.entries(view.durable.contradictions)) {
    const index = Number(key.slice(key.indexOf('/') + 1));
    const member = memberAt(roster, index);
    const stays = member !== undefined && memberAt(draft.roster, index)?.peer === member.peer;
    if (stays && !byIndex.has(index)) byIndex.set(index, { index, first, second });
  }
  return [...byIndex.values()].sort((a, b) => a.index - b.index);
}

/** Plans in the order in which a leader prefers them: the longest, but the bare one in odd rounds after three (§4.1). */
function plansByPreference(view: View, round: number): Hex[] {
  const length = (plan: Hex) => view.durable.plans[plan]?.orders.length ?? 0;
  const bareFirst = round >= limits.undecidedRoundsBeforeBarePlan && round % 2 === 1;
  return attendedPlans(view).sort((a, b) => (bareFirst ? length(a) - length(b) : length(b) - length(a)));
}

/** Rule `propose` (lines 11–21): the leader's valid value with its prevotes, else the best plan with full evidence. */
export function propose(work: Work): boolean {
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
    const evidence = { ...(earlier.carried.evidence as Evidence), prevotes };
    say(
      work,
      (by) => ({
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
    const found = acceptable(work, plan);
    if (found === null) continue;
    if (windowOpen && !found.complete) return false;
    const draft = draftOfPlan(work, plan);
    if (draft === null) continue;
    const attends = attendsOf(work, plan).filter(({ carried }) =>
      found.evidence.attends.includes(carried.packet),
    );
    const halves = found.accepted.map(({ digest }) =>
      decodePublic((work.durable.publics[hex(digest)] as { bytes: Uint8Array }).bytes),
    );
    const { value } = assembleValue(
      work,
      fromHex(plan),
      draft,
      attends.map(({ message }) => message),
      found.accepted,
      halves,
      suspensionsOf(work, draft),
    );
    say(
      work,
      (by) => ({
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
