/** What arrives from other members: the door of each frame and message. */
import { receiveAccusation } from './change/accusation.ts';
import { receiveLinks } from './change/adopt.ts';
import { receiveVote } from './change/agree.ts';
import { receiveReady } from './change/apply.ts';
import { narrows, receiveAttend } from './change/attend.ts';
import { receivePublics, receiveSummary, summaryOf } from './change/catch-up.ts';
import { receiveContradiction } from './change/contradiction.ts';
import { keepMessage } from './change/message-slots.ts';
import { receiveProposal } from './change/proposal.ts';
import { answerRecall, receiveOwn, receiveRecalled } from './change/recall.ts';
import { receiveRetireProof } from './change/retire-proof.ts';
import { receiveDealing } from './change/sub-shares.ts';
import { type FramePath, isAcceptedBy } from './machine/frame-paths.ts';
import { draftOfPlan, headOf, isOfOtherInstance, type ReadableState } from './machine/queries.ts';
import { emitRefusal } from './machine/refusal.ts';
import type { PrintedByInput, PrintedName } from './machine/rule-names.ts';
import type { Volatile } from './machine/volatile-state.ts';
import type { Work } from './machine/work.ts';
import {
  type Carried,
  carriesItsOwn,
  frameEnvelope,
  type Have,
  type Message,
  messageSchema,
} from './records/change-messages.ts';
import { decode, encode, hex } from './records/codec.ts';
import { ProtocolError } from './records/errors.ts';
import { limits } from './records/limits.ts';
import { forcedEvictionIn } from './records/order.ts';
import { type Packet, verifyPacket } from './records/packet.ts';
import { recoveryMessageSchema } from './records/recovery-messages.ts';
import { memberAt } from './records/roster.ts';
import { receiveGrant, receiveWait } from './recovery/asking.ts';
import { receiveAsk } from './recovery/granting.ts';
import { receiveMask, receiveRun } from './recovery/helping.ts';
import { receiveAccept, receiveHeld, receiveMaskPublic, receiveSum } from './recovery/run.ts';
import { receiveChoice } from './recovery/summing.ts';

/** A frame of another member, or one that was published. @throws ProtocolError for what it may not say */
export function takeFrame(
  work: Work<PrintedByInput<'frame'>>,
  from: string,
  path: FramePath,
  bytes: Uint8Array,
): void {
  const frame = frameEnvelope.decode(bytes);
  if (!isAcceptedBy(frame.type, path)) {
    if (path === 'unproven') return; // its handshake may still be running
    throw new ProtocolError('not-for-gossip', `a ${frame.type} was published`, { action: 'ignore' });
  }
  switch (frame.type) {
    case 'message':
      return takeMessage(work, from, frame.message);
    case 'summary':
      return receiveSummary(work, from, path === 'proven', frame);
    case 'links':
      receiveLinks(work, frame.links);
      work.emit({ type: 'send', to: from, frame: summaryOf(work, true) });
      return;
    case 'retire':
      return receiveRetireProof(work, from, frame.proof);
    case 'publics':
      return receivePublics(work, frame.publics);
    case 'contradiction':
      return receiveContradiction(work, frame.first, frame.second);
    case 'accusation':
      return receiveAccusation(work, frame.packet);
    case 'recovery':
      return takeRecovery(work, from, frame.packet, frame.beside);
    case 'recall':
      return answerRecall(work, from, frame.epoch, frame.nonce);
    case 'recalled':
      return receiveRecalled(work, frame.packet, frame.packets);
  }
}

/** §5: messages of a recovery in the newest epoch, each signed with its author's epoch key. */
function takeRecovery(
  work: Work<PrintedByInput<'frame'>>,
  from: string,
  packet: Packet,
  beside: readonly Packet[],
): void {
  const message = decode(recoveryMessageSchema, packet.body);
  const head = headOf(work);
  if (message.epoch !== head.epoch) {
    work.emit({ type: 'send', to: from, frame: summaryOf(work, message.epoch > head.epoch) });
    return;
  }
  const member = memberAt(head.roster, message.by);
  if (member === undefined || member.peer === work.peer)
    throw new ProtocolError('not-a-member', `no other member has index ${message.by}`);
  if (!verifyPacket(work.clusterId, member.epochKey, packet))
    throw new ProtocolError('bad-signature', `a ${message.type} is not signed by member ${message.by}`);
  switch (message.type) {
    case 'recover-ask':
      return receiveAsk(work, message);
    case 'recover-grant':
      return receiveGrant(work, message, packet);
    case 'recover-wait':
      return receiveWait(work, message);
    case 'recover-run':
      return receiveRun(work, message, beside);
    case 'recover-mask':
      return receiveMask(work, message) ? undefined : receiveMaskPublic(work, message);
    case 'recover-held':
      return receiveHeld(work, message);
    case 'recover-choice':
      return receiveChoice(work, message, beside);
    case 'recover-accept':
      return receiveAccept(work, message, packet);
    case 'recover-sum':
      return receiveSum(work, message);
  }
}

/**
 * A signed message: of the undecided change, or a Ready of the newest epoch; later ones wait, older ones are
 * dropped.
 */
function takeMessage(work: Work<PrintedByInput<'frame'>>, from: string, carried: Carried): void {
  const message = decode(messageSchema, carried.packet.body);
  if (!carriesItsOwn(message, carried))
    throw new ProtocolError('malformed', `what comes with a ${message.type} does not belong to it`);
  if (message.type === 'dealing') return receiveDealing(work, from, message, carried.packet);
  const head = headOf(work);
  const current = message.type === 'ready' ? head.epoch : head.epoch + 1;
  if (message.epoch > current) {
    const bytes = encode(carried).length;
    const small = carried.evidence === undefined && bytes <= limits.earlyBytesMax;
    if (message.epoch === current + 1) {
      if (small) work.volatile.early = bounded([...work.volatile.early, { from, carried, bytes }]);
    } else work.emit({ type: 'send', to: from, frame: summaryOf(work, true) });
    return;
  }
  if (message.epoch < current) return;
  const member = memberAt(head.roster, message.by);
  if (member === undefined) throw new ProtocolError('not-a-member', `no member has index ${message.by}`);
  if (!verifyPacket(work.clusterId, member.epochKey, carried.packet))
    throw new ProtocolError('bad-signature', `a ${message.type} is not signed by member ${message.by}`);
  if (isOfOtherInstance(work, message) && !bringsNarrower(work, message, carried)) return;
  if (member.peer === work.peer && message.type !== 'ready') return receiveOwn(work, message, carried.packet);
  switch (message.type) {
    case 'attend':
      return receiveAttend(work, message, carried);
    case 'have':
      return receiveHave(work, message, carried);
    case 'proposal':
      return receiveProposal(work, from, message, carried);
    case 'prevote':
    case 'precommit':
      return receiveVote(work, message, carried);
    case 'ready':
      return receiveReady(work, message, carried);
  }
}

/** Over the bound the oldest of whoever sent most gives way: nobody can push out what others sent. */
function bounded(early: Volatile['early']): Volatile['early'] {
  const share = (some: Volatile['early'] = []) =>
    some.length / limits.earlyMessages +
    some.reduce((sum, { bytes }) => sum + bytes, 0) / limits.earlyTotalBytesMax;
  const total = early.reduce((sum, { bytes }) => sum + bytes, 0);
  if (early.length <= limits.earlyMessages && total <= limits.earlyTotalBytesMax) return early;
  const senders = Object.groupBy(early, ({ from }) => from);
  const [most] = Object.values(senders).sort((a, b) => share(b) - share(a));
  return bounded(early.filter((each) => each !== most?.[0]));
}

/**
 * An Attend for a forced eviction that leaves fewer than the present one takes whoever remains over into its
 * instance.
 */
function bringsNarrower(state: ReadableState, message: Message, { orders }: Carried): boolean {
  const order = message.type === 'attend' && orders?.length === 1 ? orders[0] : undefined;
  const forced = order === undefined ? null : forcedEvictionIn(order);
  return forced !== null && narrows(state, forced.remaining);
}

function receiveHave(work: Work, message: Have, carried: Carried): void {
  const names = message.digests.map((digest) => hex(digest));
  if (names.some((name, at) => name <= (names[at - 1] ?? '')))
    throw new ProtocolError('bad-have', 'a Have lists digests twice or unsorted', { culprit: message.by });
  if (work.durable.plans[hex(message.plan)] === undefined)
    throw new ProtocolError('early', 'a Have came before any Attend of its plan', { action: 'ignore' });
  const created = draftOfPlan(work, hex(message.plan))?.created.length ?? 0;
  if (names.length > headOf(work).roster.length + created)
    throw new ProtocolError('bad-have', 'a Have lists more dealings than the plan can have', {
      culprit: message.by,
    });
  keepMessage(work, message, carried);
}

/** Messages that came before the decision of their parent, now that it is here. */
export function replayEarly(work: Work<PrintedName>): void {
  const waiting = work.volatile.early;
  work.volatile.early = [];
  for (const { from, carried } of waiting) {
    try {
      takeMessage(work, from, carried);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      emitRefusal(work, from, error);
    }
  }
}
