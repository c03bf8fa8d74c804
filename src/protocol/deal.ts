/** §4.2 Deal: fresh sub-shares with root 0 from every attending member that holds its share; Haves say who holds what. */
import { accuse } from './accusation.ts';
import { decode, encode, fromHex, hex, sameBytes } from './codec.ts';
import type { Draft } from './draft.ts';
import { ProtocolError } from './errors.ts';
import type { CheckItem, Job, JobResult } from './io.ts';
import { type Dealing, dealingSchema, digestOfDealing } from './messages.ts';
import { type Packet, signPacket, verifyPacket } from './packet.ts';
import {
  attendedPlans,
  attendsOf,
  contradicting,
  draftOfPlan,
  havesOf,
  headOf,
  holdsShare,
  keySettings,
  selfIn,
  signingSecret,
  type View,
} from './queries.ts';
import { memberAt } from './roster.ts';
import { say } from './say.ts';
import type { Hex } from './state.ts';
import { checkPublic, dealtKeys, decodePublic } from './validity.ts';
import type { Work } from './work.ts';

const settingsOf = (view: View, draft: Draft) =>
  keySettings(dealtKeys(draft), draft.threshold, view.genesis.membersMax);

/** The random gate (step 5): in round 0 a member deals when its drawn number is above its gate; later all do. */
function gateOpen(work: Work): boolean {
  const epoch = headOf(work).epoch + 1;
  if (work.durable.own.drawn?.epoch !== epoch) {
    const number = new DataView(work.draw(8).buffer).getUint32(0) / 2 ** 32;
    work.own({ drawn: { epoch, number } });
    if (number <= work.before.gate) work.rule('gate-closed', { epoch });
  }
  return (
    (work.durable.own.rounds?.round ?? 0) > 0 || (work.durable.own.drawn?.number ?? 1) > work.before.gate
  );
}

/** Rule `deal`: computes this member's dealing for an attended plan that has a quorum. */
export function deal(work: Work): boolean {
  const signer = signingSecret(work);
  if (signer === null || !holdsShare(work)) return false;
  for (const plan of attendedPlans(work)) {
    if (work.durable.attended[plan] === undefined || work.durable.dealt[plan] !== undefined) continue;
    if (!gateOpen(work)) continue;
    const draft = draftOfPlan(work, plan) as Draft;
    const job: Job = { kind: 'deal', keys: settingsOf(work, draft), dealer: signer.index };
    if (work.compute(`deal/${plan}`, job)) {
      work.rule('deal', { epoch: headOf(work).epoch + 1 });
      return true;
    }
  }
  return false;
}

/** The dealing is computed: it becomes durable here, and this member is its own first receiver. */
export function dealt(work: Work, plan: Hex, result: Extract<JobResult, { kind: 'deal' }>): void {
  const draft = draftOfPlan(work, plan);
  const self = selfIn(work);
  if (draft === null || self === undefined || work.durable.attended[plan] === undefined) return; // decided meanwhile
  const epoch = headOf(work).epoch + 1;
  const bytes = encode({
    epoch,
    plan: fromHex(plan),
    dealer: self.index,
    parts: dealtKeys(draft).map((key, at) => ({ key: key.id, commitments: result.commitments[at] })),
  });
  const digest = digestOfDealing(bytes);
  work.put('dealt', plan, { digest, public: bytes, coefficients: result.coefficients });
  work.put('publics', hex(digest), { bytes });
  if (memberAt(draft.roster, self.index)?.peer === self.peer)
    work.put('subShares', hex(digest), {
      epoch,
      plan: fromHex(plan),
      dealer: self.index,
      numbers: result.own,
    });
}

/** Attending members of the next roster to whom this dealing goes. */
function receiversOf(
  work: Work,
  plan: Hex,
  draft: Draft,
): Array<{ index: number; sealingKey: Uint8Array; peer: string }> {
  const left = contradicting(work);
  return attendsOf(work, plan).flatMap(({ message }) => {
    const member = memberAt(headOf(work).roster, message.by);
    const stays = member !== undefined && memberAt(draft.roster, message.by)?.peer === member.peer;
    return stays && member.peer !== work.peer && !left.has(message.by)
      ? [{ index: message.by, sealingKey: message.sealingKey, peer: member.peer }]
      : [];
  });
}

/** Rule `seal`: seals this member's numbers for attenders that have no envelope yet; late ones are served until the decision. */
export function seal(work: Work): boolean {
  if (signingSecret(work) === null) return false; // what it seals it could not sign
  for (const [plan, own] of Object.entries(work.durable.dealt)) {
    const draft = draftOfPlan(work, plan);
    const self = selfIn(work);
    if (draft === null || self === undefined || attendsOf(work, plan).length === 0) continue;
    const receivers = receiversOf(work, plan, draft).filter(
      ({ index }) => work.durable.outbox[`${plan}/${index}`] === undefined,
    );
    if (receivers.length === 0) continue;
    const tie = {
      cluster: work.clusterId,
      epoch: headOf(work).epoch + 1,
      plan: fromHex(plan),
      digest: own.digest,
      sender: self.index,
    };
    const job: Job = {
      kind: 'seal',
      keys: settingsOf(work, draft),
      coefficients: own.coefficients,
      tie,
      receivers: receivers.map(({ index, sealingKey }) => ({ index, sealingKey })),
    };
    if (work.compute(`seal/${plan}`, job)) return true;
  }
  return false;
}

/** Envelopes are made: one signed message per receiver, durable before it leaves, the same bytes at every re-send. */
export function sealed(work: Work, plan: Hex, result: Extract<JobResult, { kind: 'seal' }>): void {
  const own = work.durable.dealt[plan];
  const signer = signingSecret(work);
  if (own === undefined || signer === null || draftOfPlan(work, plan) === null) return;
  for (const { receiver, envelopes } of result.sealed) {
    const member = memberAt(headOf(work).roster, receiver);
    if (member === undefined) continue;
    const body: Dealing = { type: 'dealing', by: signer.index, receiver, public: own.public, envelopes };
    const packet = signPacket(work.clusterId, signer.secret, encode(body));
    work.put('outbox', `${plan}/${receiver}`, { packet });
    work.emit({ type: 'send', to: member.peer, frame: { type: 'message', message: { packet } } });
  }
}

/**
 * Takes a dealing in: signature, plan, shape; its numbers are checked by a job. Also taken after the decision while this
 * member still misses accepted sub-shares, until Retire.
 */
export function receiveDealing(work: Work, message: Dealing, packet: Packet): void {
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
  const signers =
    half.dealer === 0
      ? work.genesis.operators
      : [memberAt(parent.roster, half.dealer)?.epochKey ?? new Uint8Array(32)];
  if (!signers.some((key) => verifyPacket(work.clusterId, key, packet)))
    throw new ProtocolError('bad-signature', `a dealing is not signed by ${half.dealer || 'an operator'}`);
  const plan = hex(half.plan);
  const digest = hex(digestOfDealing(message.public));
  if (
    work.durable.subShares[digest] !== undefined ||
    work.volatile.inbox[digest] !== undefined ||
    work.volatile.refusedDealings[`${plan}/${half.dealer}`]
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
    const other = Object.values(work.volatile.inbox).some(
      (held) => held.plan === plan && held.dealer === half.dealer && half.dealer !== 0,
    );
    const stored = Object.entries(work.durable.subShares).some(
      ([, held]) => held.dealer === half.dealer && half.dealer !== 0 && hex(held.plan) === plan,
    );
    if (other || stored) {
      work.blame({ epoch: half.epoch, by: half.dealer, kind: 'contradiction' });
      return;
    }
  }
  if (message.envelopes.length !== half.parts.length)
    throw new ProtocolError('bad-dealing', 'an envelope is missing', { culprit: half.dealer });
  work.put('publics', digest, { bytes: message.public });
  work.volatile.inbox = {
    ...work.volatile.inbox,
    [digest]: { dealer: half.dealer, plan, envelopes: message.envelopes },
  };
}

/** Rule `check`: opens and checks what is in the inbox, several dealings together where they came together (§3). */
export function check(work: Work): boolean {
  for (const plan of new Set(Object.values(work.volatile.inbox).map((held) => held.plan))) {
    const keys = work.durable.attended[plan];
    const self = selfIn(work);
    if (keys === undefined || self === undefined || work.volatile.jobs[`check/${plan}`]) continue;
    const items: CheckItem[] = [];
    let epoch = 0;
    for (const [digest, held] of Object.entries(work.volatile.inbox)) {
      if (held.plan !== plan) continue;
      const half = decodePublic((work.durable.publics[digest] as { bytes: Uint8Array }).bytes);
      epoch = half.epoch;
      const draft = draftAt(work, plan, half.epoch);
      if (draft === null) continue;
      items.push({
        digest: fromHex(digest),
        dealer: held.dealer,
        envelopes: held.envelopes,
        parts: half.parts.flatMap((part) => {
          const key = draft.keys.find((listed) => sameBytes(listed.id, part.key));
          return key === undefined
            ? []
            : [
                {
                  setting: { key, threshold: draft.threshold, membersMax: work.genesis.membersMax },
                  commitments: part.commitments,
                  creation: half.dealer === 0,
                },
              ];
        }),
      });
    }
    if (items.length === 0) continue;
    const tie = { cluster: work.clusterId, epoch, plan: fromHex(plan), receiver: self.index };
    return work.compute(`check/${plan}`, { kind: 'check', tie, sealingSecret: keys.sealingSecret, items });
  }
  return false;
}

const draftAt = (view: View, plan: Hex, epoch: number): Pick<Draft, 'keys' | 'threshold'> | null => {
  const head = headOf(view);
  return epoch === head.epoch ? { keys: head.keys, threshold: head.threshold } : draftOfPlan(view, plan);
};

/** Checked: true numbers become durable sub-shares; a false one names its dealer. */
export function checked(work: Work, plan: Hex, result: Extract<JobResult, { kind: 'check' }>): void {
  for (const { digest, numbers } of result.results) {
    const held = work.volatile.inbox[hex(digest)];
    if (held === undefined) continue;
    const { [hex(digest)]: _, ...rest } = work.volatile.inbox;
    work.volatile.inbox = rest;
    const half = work.durable.publics[hex(digest)];
    if (half === undefined) continue;
    const { epoch } = decodePublic(half.bytes);
    if (numbers === null) {
      work.volatile.refusedDealings = { ...work.volatile.refusedDealings, [`${plan}/${held.dealer}`]: true };
      work.blame({ epoch, by: held.dealer, kind: 'false-sub-share' });
      accuse(work, { epoch, dealer: held.dealer, digest });
      work.rule('false-sub-share', { epoch, dealer: held.dealer });
      continue;
    }
    work.put('subShares', hex(digest), { epoch, plan: fromHex(plan), dealer: held.dealer, numbers });
  }
}

/** Checked sub-shares of a plan that this member holds, as sorted digests. */
export const heldDigests = (view: View, plan: Hex): Hex[] =>
  Object.entries(view.durable.subShares)
    .filter(([, held]) => hex(held.plan) === plan)
    .map(([digest]) => digest)
    .sort();

/**
 * Rule `have`: lists every checked sub-share, once all that can come have come or a short delay has passed. Only a member
 * that holds its share of E and stays sends one (§4.2).
 */
export function have(work: Work): boolean {
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
    say(work, (by) => ({
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

/** Dealings of the operator's command (§4 "Creation"): each packet is sent to its receiver, this member's own is taken in. */
export function takeOperatorDealings(work: Work, packets: readonly Packet[]): void {
  const roster = headOf(work).roster;
  for (const packet of packets) {
    const message = decode(dealingSchema, packet.body);
    if (message.by !== 0 || !work.genesis.operators.some((key) => verifyPacket(work.clusterId, key, packet)))
      throw new ProtocolError('bad-dealing', 'this dealing is not the operator’s');
    const receiver = memberAt(roster, message.receiver);
    if (receiver === undefined) continue;
    const half = decodePublic(message.public);
    work.put('publics', hex(digestOfDealing(message.public)), { bytes: message.public });
    work.put(
      'outbox',
      `${hex(half.plan)}/${message.receiver}/${hex((half.parts[0]?.key ?? new Uint8Array()).subarray(0, 8))}`,
      { packet },
    );
    if (receiver.peer === work.peer) receiveDealing(work, message, packet);
    else work.emit({ type: 'send', to: receiver.peer, frame: { type: 'message', message: { packet } } });
  }
}
