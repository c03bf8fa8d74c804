/** §4.2 Deal, the receiver's part: dealings are taken in and checked, and Haves say who holds what. */

import { hashOf } from '../../crypto/hash.ts';
import { computeBatch, isGivenUp, jobDone } from '../machine/failing-jobs.ts';
import type { CheckItem, Job, JobResult } from '../machine/io.ts';
import { type JobTag, jobTag } from '../machine/job-tags.ts';
import {
  attendsOf,
  draftOfPlan,
  havesOf,
  headOf,
  holdsShare,
  type ReadableState,
  selfIn,
  signingSecret,
} from '../machine/queries.ts';
import { outboxKey, type SourceKey, sourceKey } from '../machine/record-keys.ts';
import { emitRefusal } from '../machine/refusal.ts';
import type { Volatile } from '../machine/volatile-state.ts';
import type { Work } from '../machine/work.ts';
import {
  type Dealing,
  type DealingPublic,
  dealingSchema,
  digestOfDealing,
} from '../records/change-messages.ts';
import { decode, fromHex, type Hex, hex, sameBytes } from '../records/codec.ts';
import type { Draft } from '../records/draft-actions.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import { type Packet, verifyPacket } from '../records/packet.ts';
import { present, zip } from '../records/present.ts';
import { memberAt } from '../records/roster.ts';
import { isCreatedBy, operatorDealer } from '../records/value.ts';
import { accuse } from './accusation.ts';
import { judgeTag, partsVerdict } from './created-parts.ts';
import { signAndPublish } from './message-slots.ts';
import { checkPublic, decodePublic } from './validity.ts';

/**
 * Signed by the member that deals, or by the dealing key that the order of a new key names. The half says
 * which key that is; that the order says so too, `checkPublic` sees, or those did who accepted the half's
 * digest.
 */
function checkSigned(
  work: Work,
  epochKey: Uint8Array | undefined,
  { dealer, dealingKey }: DealingPublic,
  packet: Packet,
): void {
  const signer = dealer === operatorDealer ? dealingKey : epochKey;
  if (signer === undefined || !verifyPacket(work.clusterId, signer, packet))
    throw new ProtocolError(
      'bad-signature',
      `a dealing is not signed by ${dealer === operatorDealer ? 'the dealer of its key' : `member ${dealer}`}`,
    );
}

/** Whose dealing it is: each member makes one for a plan, and the dealer of each new key one. */
function sourceOf({ plan, dealer, parts }: DealingPublic): SourceKey {
  return sourceKey(plan, dealer, dealer === operatorDealer ? (parts[0]?.key ?? new Uint8Array()) : undefined);
}

const nameOfPacket = ({ body }: Packet): Hex => hex(hashOf('holdfast/packet/1', body));

/**
 * How many packets of one source are opened while those before were false. A member signs one for each
 * receiver, and can be left out. The dealer of a new key cannot: its half may come again with true numbers.
 */
const packetsMax = ({ dealer }: DealingPublic): number =>
  dealer === operatorDealer ? limits.falseCreationsMax : 1;

/**
 * Takes a dealing in: signature, plan, shape. Jobs judge its parts of new keys and check its numbers. It is
 * also taken after the decision, while this member still misses accepted sub-shares, until Retire.
 */
export function receiveDealing(work: Work, from: string, message: Dealing, packet: Packet): void {
  const half = decodePublic(message.public);
  const head = headOf(work);
  const late = half.epoch === head.epoch && work.durable.own.retired < head.epoch;
  if (half.epoch !== head.epoch + 1 && !late)
    throw new ProtocolError('late', 'the dealing is for another epoch', { action: 'ignore' });
  const parent = late ? work.durable.links[head.epoch - 1]?.value : head;
  const self = parent?.roster.find((member) => member.peer === work.peer);
  if (
    parent === undefined ||
    self === undefined ||
    message.receiver !== self.index ||
    half.dealer !== message.by
  )
    throw new ProtocolError('bad-dealing', 'the dealing is for another receiver', { action: 'ignore' });
  checkSigned(work, memberAt(parent.roster, half.dealer)?.epochKey, half, packet);
  const plan = hex(half.plan);
  const digest = hex(digestOfDealing(message.public));
  const source = sourceOf(half);
  const name = nameOfPacket(packet);
  const refused = work.volatile.refusedDealings[source] ?? [];
  const waiting = Object.values(work.volatile.inbox).filter((held) => held.source === source);
  if (
    work.durable.subShares[digest] !== undefined ||
    work.volatile.inbox[name] !== undefined ||
    refused.includes(name) ||
    refused.length >= packetsMax(half)
  )
    return;
  if (work.durable.attended[plan] === undefined)
    throw new ProtocolError('early', 'this member does not attend the dealing’s plan', { action: 'ignore' });
  if (late) {
    if (!head.accepted.some((accepted) => sameBytes(accepted.digest, digestOfDealing(message.public))))
      return;
  } else {
    const draft = draftOfPlan(work, plan);
    if (draft === null)
      throw new ProtocolError('bad-dealing', 'the plan is of an epoch that is decided', {
        culprit: half.dealer,
      });
    checkPublic(head.epoch + 1, half.plan, draft, half);
    const other = half.dealer !== operatorDealer && waiting.some((held) => held.digest !== digest);
    const stored = Object.entries(work.durable.subShares).some(
      ([, held]) => held.dealer === half.dealer && half.dealer !== operatorDealer && hex(held.plan) === plan,
    );
    if (other || stored) {
      work.blame({ epoch: half.epoch, by: half.dealer, kind: 'contradiction' });
      return;
    }
  }
  if (refused.length + waiting.length >= packetsMax(half)) return;
  if (message.envelopes.length !== half.parts.length)
    throw new ProtocolError('bad-dealing', 'an envelope is missing', { culprit: half.dealer });
  work.put('publics', digest, { bytes: message.public });
  work.volatile.inbox = {
    ...work.volatile.inbox,
    [name]: { from, digest, dealer: half.dealer, plan, source, envelopes: message.envelopes },
  };
}

/**
 * Rule `check`: opens and checks dealings in the inbox, several together where they came together (§3).
 * Before the decision a dealing with parts of new keys waits until these are judged. For an accepted dealing
 * those who decided have judged them.
 */
export function check(work: Work<'dealing-given-up' | 'false-part'>): boolean {
  for (const plan of new Set(Object.values(work.volatile.inbox).map((held) => held.plan))) {
    const keys = work.durable.attended[plan];
    const self = selfIn(work);
    const about = { job: 'check' as const, plan };
    if (keys === undefined || self === undefined || work.volatile.jobs[jobTag(about)]) continue;
    const undecided = draftOfPlan(work, plan);
    const items: CheckItem[] = [];
    let epoch = 0;
    for (const [name, held] of Object.entries(work.volatile.inbox)) {
      const { digest } = held;
      // Of two packets of one dealing the second waits for what is found of the first.
      if (held.plan !== plan || items.some((item) => hex(item.digest) === digest)) continue;
      const tag = jobTag({ ...about, item: digest });
      const failing = [tag, judgeTag(plan, digest)].find((one) => isGivenUp(work, one));
      if (failing !== undefined) return giveUpOn(work, name, failing);
      const parts = undecided === null ? 'true' : partsVerdict(work, undecided, held.dealer, digest);
      if (parts === 'false') return refuseFalseParts(work, name);
      if (parts === 'unjudged') continue;
      const half = decodePublic(
        present(work.durable.publics[digest], 'the public half of a dealing in the inbox').bytes,
      );
      epoch = half.epoch;
      const draft = draftAt(work, plan, half.epoch);
      if (draft === null) continue;
      items.push({
        digest: fromHex(digest),
        dealer: held.dealer,
        parts: zip(half.parts, held.envelopes).flatMap(([part, envelope]) => {
          const key = draft.keys.find(
            (listed) => sameBytes(listed.id, part.key) || isCreatedBy(listed, part),
          );
          if (key === undefined) return [];
          const setting = { key, threshold: draft.threshold, membersMax: work.genesis.membersMax };
          const creation = half.dealer === operatorDealer;
          const { commitments } = part;
          return [{ setting, key: part.key, commitments, creation, joint: isCreatedBy(key, part), envelope }];
        }),
      });
    }
    if (items.length === 0) continue;
    const tie = { cluster: work.clusterId, epoch, plan: fromHex(plan), receiver: self.index };
    const { sealingSecret } = keys;
    const job = (some: CheckItem[]): Job => ({ kind: 'check', tie, sealingSecret, items: some });
    if (computeBatch(work, { about, items, nameOf: ({ digest }) => hex(digest), job })) return true;
  }
  return false;
}

/**
 * A dealing on which the worker died again and again, also alone: it is left out here. Its dealer is named in
 * the log and blamed for nothing, because no arithmetic has found it false. If it counts, this member
 * recovers its share (§5).
 */
function giveUpOn(work: Work<'dealing-given-up'>, name: Hex, tag: JobTag): true {
  const { dealer } = takeOut(work, name);
  work.rule('dealing-given-up', { dealer });
  jobDone(work, tag); // another packet of the same dealing is tried for itself
  return true;
}

/** Refuses a dealing with a false part of a new key. The sender is reproached when it is the dealer. */
function refuseFalseParts(work: Work<'false-part'>, name: Hex): true {
  const { dealer, from } = takeOut(work, name);
  work.rule('false-part', { epoch: headOf(work).epoch + 1, dealer });
  const why = `dealing of ${dealer}: its part of a new key is none`;
  emitRefusal(work, from, new ProtocolError('bad-dealing', why, { culprit: dealer }));
  return true;
}

/** Takes a packet out of the inbox, and keeps it from being taken in again. */
function takeOut(work: Work, name: Hex): Volatile['inbox'][Hex] {
  const { [name]: taken, ...inbox } = work.volatile.inbox;
  const held = present(taken, 'a dealing in the inbox');
  work.volatile.inbox = inbox;
  refuse(work, held.source, name);
  return held;
}

function refuse(work: Work, source: SourceKey, name: Hex): void {
  const refused = work.volatile.refusedDealings;
  work.volatile.refusedDealings = { ...refused, [source]: [...(refused[source] ?? []), name] };
}

const draftAt = (
  state: ReadableState,
  plan: Hex,
  epoch: number,
): Pick<Draft, 'keys' | 'threshold'> | null => {
  const head = headOf(state);
  return epoch === head.epoch ? { keys: head.keys, threshold: head.threshold } : draftOfPlan(state, plan);
};

/** Checked: true numbers become durable sub-shares; a false one names its dealer. */
export function checked(
  work: Work<'false-sub-share'>,
  plan: Hex,
  result: Extract<JobResult, { kind: 'check' }>,
): void {
  for (const { digest, numbers } of result.results) {
    const found = Object.entries(work.volatile.inbox).find(([, { digest: of }]) => of === hex(digest));
    if (found === undefined) continue;
    const [name, held] = found;
    work.volatile.inbox = Object.fromEntries(
      Object.entries(work.volatile.inbox).filter(
        ([other, { digest: of }]) => other !== name && (numbers === null || of !== hex(digest)),
      ),
    );
    const half = work.durable.publics[hex(digest)];
    if (half === undefined) continue;
    const { epoch } = decodePublic(half.bytes);
    if (numbers === null) {
      refuse(work, held.source, name);
      work.blame({ epoch, by: held.dealer, kind: 'false-sub-share' });
      accuse(work, { epoch, dealer: held.dealer, digest });
      work.rule('false-sub-share', { epoch, dealer: held.dealer });
      continue;
    }
    work.put('subShares', hex(digest), { epoch, plan: fromHex(plan), dealer: held.dealer, numbers });
  }
}

/** Checked sub-shares of a plan that this member holds, as sorted digests. */
const heldDigests = (state: ReadableState, plan: Hex): Hex[] =>
  Object.entries(state.durable.subShares)
    .filter(([, held]) => hex(held.plan) === plan)
    .map(([digest]) => digest)
    .sort();

/**
 * Rule `have`: lists every checked sub-share, once all that can come have come or a short delay has passed.
 * Only a member that holds its share of E and stays sends one (§4.2).
 */
export function have(work: Work<'have'>): boolean {
  const signer = signingSecret(work);
  if (signer === null || work.durable.own.rounds === null) return false;
  let waiting = false;
  for (const plan of Object.keys(work.durable.attended)) {
    const draft = draftOfPlan(work, plan);
    const self = selfIn(work);
    if (
      draft === null ||
      self === undefined ||
      !holdsShare(work) ||
      memberAt(draft.roster, self.index)?.peer !== work.peer
    )
      continue;
    const digests = heldDigests(work, plan);
    const listed =
      havesOf(work, plan).find(({ message }) => message.by === signer.index)?.message.digests.length ?? 0;
    if (digests.length === listed) continue;
    const all = digests.length >= attendsOf(work, plan).length + draft.created.length;
    if (!all && (work.volatile.haveAtMs === null || work.nowMs < work.volatile.haveAtMs)) {
      waiting = true;
      continue;
    }
    const epoch = headOf(work).epoch + 1;
    signAndPublish(work, (by) => ({
      v: 1,
      type: 'have',
      by,
      epoch,
      plan: fromHex(plan),
      digests: digests.map((digest) => fromHex(digest)),
    }));
    work.volatile.haveAtMs = null;
    work.rule('have', { epoch, dealings: digests.length });
    return true;
  }
  if (waiting && work.volatile.haveAtMs === null)
    work.volatile.haveAtMs = work.nowMs + work.timing.haveDelayMs;
  return false;
}

/**
 * What the dealer of a new key hands in (§4 "Creation"): each packet is sent to its receiver, this member's
 * own is taken in. Nothing is kept or passed on but what the order's dealing key signed for a plan that is
 * undecided.
 */
export function takeCreationDealings(work: Work, packets: readonly Packet[]): void {
  const { epoch, roster } = headOf(work);
  for (const packet of packets) {
    const message = decode(dealingSchema, packet.body);
    const half = decodePublic(message.public);
    const plan = hex(half.plan);
    if (message.by !== operatorDealer || half.dealer !== operatorDealer)
      throw new ProtocolError('bad-dealing', 'only the dealing of a new key is handed in');
    const draft = draftOfPlan(work, plan);
    if (draft === null)
      throw new ProtocolError('late', 'its plan is decided, or not known here', { action: 'ignore' });
    checkPublic(epoch + 1, half.plan, draft, half);
    checkSigned(work, undefined, half, packet);
    const receiver = memberAt(roster, message.receiver);
    if (receiver === undefined) continue;
    work.put('publics', hex(digestOfDealing(message.public)), { bytes: message.public });
    work.put('outbox', outboxKey(plan, message.receiver, half.parts[0]?.key), { packet });
    if (receiver.peer === work.peer) receiveDealing(work, '', message, packet);
    else work.emit({ type: 'send', to: receiver.peer, frame: { type: 'message', message: { packet } } });
  }
}
