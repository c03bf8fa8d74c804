/**
 * What a value must be (§4.3): leader and validators build it with the same function from the same evidence,
 * so validity is objective and nobody needs a sub-share to judge it.
 */

import { kindNamed } from '../../keys/kinds.ts';
import type { Job, KeySum } from '../machine/io.ts';
import type { JobTag } from '../machine/job-tags.ts';
import {
  attendsOf,
  changeQuorum,
  electors,
  havesOf,
  headOf,
  isSleeper,
  isSuspended,
  type ReadableState,
} from '../machine/queries.ts';
import { lastingSuspensions } from '../records/attendance.ts';
import {
  type Attend,
  attendSchema,
  type DealingPublic,
  dealingPublicSchema,
  type Evidence,
  type Have,
  haveSchema,
} from '../records/change-messages.ts';
import { compareBytes, decode, encode, hex, sameBytes, sameLists } from '../records/codec.ts';
import { draftOf, planOf } from '../records/draft.ts';
import { type Draft, keyIdOf } from '../records/draft-actions.ts';
import { ProtocolError } from '../records/errors.ts';
import { type Packet, verifyPacket } from '../records/packet.ts';
import { present, zip } from '../records/present.ts';
import { holdersNeeded, memberAt } from '../records/roster.ts';
import {
  type Accepted,
  ancestorsAfter,
  digestOfCommitments,
  follows,
  hashOfValue,
  isUnmade,
  type KeyCommitments,
  type KeyRecord,
  operatorDealer,
  type Suspension,
  type Value,
} from '../records/value.ts';
import { contradicts } from './contradiction.ts';
import { judgeTag, judgingJob, partsVerdict } from './created-parts.ts';
import { dealtKeys, nextKeys, sumsOf } from './next-keys.ts';

/**
 * Checks that a dealing's public half is one for this plan: its parts and their order, and the number and
 * form of commitments. (A higher degree is a longer list.) A job judges whether parts of new keys are proven
 * (`created-parts.ts`). Throws `bad-dealing`.
 */
export function checkPublic(epoch: number, plan: Uint8Array, draft: Draft, half: DealingPublic): void {
  const bad = (why: string): never => {
    throw new ProtocolError(
      'bad-dealing',
      `dealing of ${half.dealer === operatorDealer ? 'the new key' : half.dealer}: ${why}`,
      {
        culprit: half.dealer,
      },
    );
  };
  if (half.epoch !== epoch || !sameBytes(half.plan, plan)) bad('it was made for another plan');
  if (half.dealer === operatorDealer) {
    const part = half.parts[0];
    const made = draft.created.find(({ key }) => part !== undefined && sameBytes(key.id, part.key));
    if (half.parts.length !== 1 || part === undefined || made === undefined)
      return bad('it creates no key of this plan');
    if (!sameLists(made.action.commitments, part.commitments))
      bad('its commitments are not those of the order');
    if (half.dealingKey === undefined || !sameBytes(half.dealingKey, made.action.dealingKey))
      bad('its dealer is not the one that the order names');
    return;
  }
  if (half.dealingKey !== undefined) bad('only the dealer of a new key has a key of its own');
  const keys = dealtKeys(draft);
  if (half.parts.length !== keys.length) bad('it does not cover every key');
  for (const [key, part] of zip(keys, half.parts)) {
    if (!sameBytes(part.key, key.id)) bad('it covers other keys');
    const isNew = isUnmade(key);
    if (isNew && part.possession === undefined) bad('it does not prove possession of its part of a new key');
    if (!isNew && part.possession !== undefined) bad('it proves possession of what it does not create');
    // A part of a new key has one for its constant term, too.
    if (part.commitments.length !== draft.threshold - (isNew ? 0 : 1))
      bad('it has the wrong number of commitments');
    if (!areElementsOf(key, part.commitments)) bad('a commitment is no element of the key’s group');
  }
}

/** What cannot be an element of the key's group is only there to be kept and sent again. */
export const areElementsOf = (key: KeyRecord | undefined, elements: readonly Uint8Array[]): boolean =>
  key !== undefined && kindNamed(key.kind).areWellFormed(key.public, elements);

/** Whether a public half is one for this plan. */
export function isPublicOf(epoch: number, plan: Uint8Array, draft: Draft, half: DealingPublic): boolean {
  try {
    checkPublic(epoch, plan, draft, half);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

export const decodePublic = (bytes: Uint8Array): DealingPublic => decode(dealingPublicSchema, bytes);

export const sortAccepted = (accepted: readonly Accepted[]): Accepted[] =>
  [...accepted].sort((a, b) => a.dealer - b.dealer || compareBytes(a.digest, b.digest));

/**
 * The one value that follows from a plan's orders, its Attends and a set of accepted dealings.
 * @param sums what these dealings make of the keys that they cover
 */
export function assembleValue(
  state: ReadableState,
  plan: Uint8Array,
  draft: Draft,
  attends: readonly Attend[],
  accepted: readonly Accepted[],
  sums: readonly KeySum[],
  suspended: readonly Suspension[],
): { value: Value; commitments: KeyCommitments } {
  const next = nextKeys(state, draft, sums);
  const commitments = next.map((each) => each.commitments);
  const digest = digestOfCommitments(commitments);
  const made = { ...draft, keys: next.map(({ key }) => key) };
  return { value: madeValue(state, plan, made, attends, accepted, digest, suspended), commitments };
}

function madeValue(
  state: ReadableState,
  plan: Uint8Array,
  draft: Draft,
  attends: readonly Attend[],
  accepted: readonly Accepted[],
  commitments: Uint8Array,
  suspended: readonly Suspension[],
): Value {
  const parent = headOf(state);
  const fresh = new Map(attends.map((attend) => [attend.by, attend.epochKey]));
  return {
    v: 1,
    epoch: parent.epoch + 1,
    ancestors: ancestorsAfter(parent),
    plan,
    accepted: [...accepted],
    roster: draft.roster.map((member) => {
      const stays = memberAt(parent.roster, member.index)?.peer === member.peer;
      const epochKey = stays ? fresh.get(member.index) : undefined;
      return epochKey === undefined ? member : { ...member, epochKey, keyEpoch: parent.epoch + 1 };
    }),
    threshold: draft.threshold,
    keys: draft.keys,
    clients: draft.clients,
    suspended: [...suspended],
    lastOrder: draft.lastOrder,
    commitments,
  };
}

export type Verdict =
  | { verdict: 'valid'; commitments: KeyCommitments }
  | { verdict: 'incomplete'; missing: Uint8Array[] }
  /** The value can be judged once this job has ended. */
  | { verdict: 'pending'; tag: JobTag; job: Job }
  | { verdict: 'invalid'; why: string };

/** Judges a proposed value by its evidence. Never throws: whatever is wrong is a verdict. */
export function judge(state: ReadableState, value: Value, evidence: Evidence): Verdict {
  try {
    return judgeOrThrow(state, value, evidence);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    // A value whose evidence this version cannot read may be valid. It gets no verdict.
    if (error.code === 'other-version') return { verdict: 'incomplete', missing: [] };
    return { verdict: 'invalid', why: error.message };
  }
}

/**
 * All of a judgement that needs no dealing: whether the value is, but for its new commitments, exactly what
 * its evidence makes, and the evidence whole and nothing besides. What passes is no longer than its group
 * makes it. Throws `ProtocolError`.
 */
export function checkShown(
  state: ReadableState,
  value: Value,
  evidence: Evidence,
): { draft: Draft; attends: Attend[] } {
  const parent = headOf(state);
  const bad = (why: string): never => {
    throw new ProtocolError('bad-proposal', why);
  };
  if (!follows(value, parent)) bad('it does not follow the newest value');
  const draft = draftOf(state.genesis, state.clusterId, parent, evidence.orders);
  if (!sameBytes(planOf(parent, draft, evidence.orders), value.plan)) bad('its orders do not make its plan');

  if ((draft.forced === null) !== (state.durable.own.forced === null))
    bad('it belongs to the other instance');
  const attends = evidence.attends.map((packet) => readEvidence(state, packet, 'attend', value.plan));
  const attending = new Set(attends.map((attend) => attend.by));
  if (attends.some(({ by }) => isSuspended(state, by))) bad('it counts a suspended member');
  if (attends.some(({ by }) => isSleeper(state, by))) bad('it counts a member that was away too long');
  if (attending.size !== attends.length || attends.length < changeQuorum(state))
    bad('it shows no quorum of Attends');

  const digestsOf = (accepted: readonly Accepted[]) => accepted.map(({ digest }) => digest);
  if (!sameLists(digestsOf(value.accepted), digestsOf(sortAccepted(value.accepted))))
    bad('its dealings are not sorted');
  const dealers = value.accepted
    .filter(({ dealer }) => dealer !== operatorDealer)
    .map(({ dealer }) => dealer);
  if (new Set(dealers).size !== dealers.length || dealers.some((dealer) => !attending.has(dealer)))
    bad('its dealers are not members that attend, each once');
  if (dealers.length < draft.threshold || dealers.length < parent.threshold)
    bad(`it accepts fewer than ${draft.threshold} dealings`);

  const holders = new Set<number>();
  const shown = new Set<number>();
  for (const packet of evidence.haves) {
    const have = readEvidence(state, packet, 'have', value.plan);
    if (shown.has(have.by)) bad('it shows two Haves of one member');
    shown.add(have.by);
    const listed = new Set(have.digests.map(hex));
    const inBoth = memberAt(draft.roster, have.by)?.peer === memberAt(parent.roster, have.by)?.peer;
    if (inBoth && value.accepted.every(({ digest }) => listed.has(hex(digest)))) holders.add(have.by);
  }
  if (holders.size < holdersNeededFor(state, draft))
    bad('too few members show that they hold every accepted dealing');
  checkSuspensions(state, draft, value.suspended);
  const { plan, accepted, commitments, suspended } = value;
  const shownKeys = { ...draft, keys: withPublicValues(state, draft, value) };
  const made = madeValue(state, plan, shownKeys, attends, accepted, commitments, suspended);
  if (!sameBytes(hashOfValue(made), hashOfValue(value))) bad('it is not what its evidence makes');
  return { draft, attends };
}

/** The drafted keys, with the public values that a proposal gives those which its dealings create: not judged yet. */
const withPublicValues = ({ clusterId }: ReadableState, draft: Draft, { keys }: Value): KeyRecord[] =>
  draft.keys.map((key, at) => {
    const shown = keys[at];
    if (!isUnmade(key) || shown === undefined) return key;
    const made = { ...key, public: shown.public };
    return { ...made, id: keyIdOf(clusterId, made) };
  });

function judgeOrThrow(state: ReadableState, value: Value, evidence: Evidence): Verdict {
  const bad = (why: string): never => {
    throw new ProtocolError('bad-proposal', why);
  };
  const { draft, attends } = checkShown(state, value, evidence);
  const partsOf = ({ dealer, digest }: Accepted) => partsVerdict(state, draft, dealer, hex(digest));
  if (value.accepted.some((one) => partsOf(one) === 'false')) bad('a part of a new key is none');
  // What k honest members hold is worth asking for; a liar's digest of anything is not.
  const missing = value.accepted
    .filter(({ digest }) => state.durable.publics[hex(digest)] === undefined)
    .map(({ digest }) => digest);
  if (missing.length > 0) return { verdict: 'incomplete', missing };
  const halves = value.accepted.map(({ dealer, digest }) => {
    const half = decodePublic(
      present(state.durable.publics[hex(digest)], 'the public half of an accepted dealing').bytes,
    );
    if (half.dealer !== dealer) bad('it names the wrong dealer');
    checkPublic(value.epoch, value.plan, draft, half);
    return half;
  });
  const created = halves
    .filter((half) => half.dealer === operatorDealer)
    .map((half) => hex(present(half.parts[0], 'the part of a new key').key));
  if (created.length !== draft.created.length || new Set(created).size !== created.length)
    bad('a created key has no accepted dealing');
  for (const [one, half] of zip(value.accepted, halves)) {
    if (partsOf(one) !== 'unjudged') continue;
    const tag = judgeTag(hex(value.plan), hex(one.digest));
    return { verdict: 'pending', tag, job: judgingJob(state.clusterId, draft, half) };
  }
  const found = sumsOf(state, value.plan, draft, value.accepted, halves);
  if (!('sums' in found)) return { verdict: 'pending', ...found };
  if (found.sums === null) return bad('its dealings make no keys');

  const assembled = assembleValue(
    state,
    value.plan,
    draft,
    attends,
    value.accepted,
    found.sums,
    value.suspended,
  );
  if (!sameBytes(hashOfValue(assembled.value), hashOfValue(value))) bad('it is not what its evidence makes');
  return { verdict: 'valid', commitments: assembled.commitments };
}

/** Every suspension lasts, and every new one shows two different Attends of a listed member for one plan. */
function checkSuspensions(state: ReadableState, draft: Draft, suspended: readonly Suspension[]): void {
  const parent = headOf(state);
  const bad = (why: string): never => {
    throw new ProtocolError('bad-proposal', why);
  };
  const lasting = lastingSuspensions(parent, draft.roster);
  if (suspended.some(({ index }, at) => index <= (suspended[at - 1]?.index ?? 0)))
    bad('its suspensions are not sorted');
  for (const old of lasting)
    if (!suspended.some((kept) => sameBytes(encode(kept), encode(old))))
      bad('it forgets a suspension, or changes what stands behind it');
  for (const { index, first, second } of suspended) {
    if (lasting.some((old) => old.index === index)) continue;
    const member = memberAt(parent.roster, index);
    if (member === undefined || memberAt(draft.roster, index)?.peer !== member.peer)
      return bad('it suspends a member that is not there');
    // Of this change, or of the one before, when it was found after the decision.
    const before = [parent, state.durable.links[parent.epoch - 1]?.value].find(
      (value) => value?.epoch === decode(attendSchema, first.body).epoch - 1,
    );
    if (before === undefined || memberAt(before.roster, index)?.peer !== member.peer)
      return bad('it suspends for another change');
    if (!contradicts(state.clusterId, before, index, first, second))
      bad('it suspends without a contradiction');
  }
}

export const holdersNeededFor = (state: ReadableState, draft: Draft): number =>
  holdersNeeded(
    { n: electors(state).length, k: headOf(state).threshold },
    { n: draft.roster.length, k: draft.threshold },
    state.genesis.faultModel,
  );

function readEvidence(state: ReadableState, packet: Packet, type: 'attend', plan: Uint8Array): Attend;
function readEvidence(state: ReadableState, packet: Packet, type: 'have', plan: Uint8Array): Have;
function readEvidence(
  state: ReadableState,
  packet: Packet,
  type: 'attend' | 'have',
  plan: Uint8Array,
): Attend | Have {
  const held = (type === 'attend' ? attendsOf : havesOf)(state, hex(plan)).find(
    ({ carried }) =>
      sameBytes(carried.packet.signature, packet.signature) && sameBytes(carried.packet.body, packet.body),
  );
  if (held !== undefined) return held.message; // verified when it was kept
  const message = type === 'attend' ? decode(attendSchema, packet.body) : decode(haveSchema, packet.body);
  const parent = headOf(state);
  const member = memberAt(electors(state), message.by);
  if (member === undefined || message.epoch !== parent.epoch + 1 || !sameBytes(message.plan, plan))
    throw new ProtocolError('bad-proposal', `its ${type} of ${message.by} is not for this plan`);
  if (!verifyPacket(state.clusterId, member.epochKey, packet))
    throw new ProtocolError('bad-proposal', `its ${type} of ${message.by} is not signed`);
  return message;
}
