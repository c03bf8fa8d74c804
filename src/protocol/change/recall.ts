/**
 * The restart rule (§4, third of the four rules): a peer that restarts within an undecided epoch signs again
 * once a quorum, itself included, has answered from durable records what it had signed. If its store lacks
 * any of it, the store went back in time, and the peer signs nothing until the next certificate.
 */

import type { Entry } from '../machine/durable-state.ts';
import {
  changeQuorum,
  electors,
  headOf,
  isOfOtherInstance,
  listedSecret,
  type ReadableState,
  selfIn,
} from '../machine/queries.ts';
import { includesAll, keptInSlotOf, type Said } from '../machine/slots.ts';
import type { Work } from '../machine/work.ts';
import { hashOfRecalled, type Memory, memorySchema, messageSchema } from '../records/change-messages.ts';
import { decode, encode, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import { type Packet, signPacket, verifyPacket } from '../records/packet.ts';
import { memberAt } from '../records/roster.ts';
import { isPast } from './agree.ts';
import { fitting, tellOfSelf } from './catch-up.ts';

/** At start, and when the change to be asked about is another: nothing is signed before a quorum has been asked. */
export function beginRecall(work: Work): void {
  if (selfIn(work) === undefined) return;
  const epoch = headOf(work).epoch + 1;
  // Of this wait only: what was answered in another one, and is sent again, says nothing of what was signed since.
  work.volatile.recall = { epoch, nonce: work.draw(32), answered: {}, askAtMs: work.nowMs };
}

/** Rule `recall`: asks every authenticated peer, again and again until a quorum has answered. */
export function recall(work: Work<'recalled'>): boolean {
  const { recall: waiting, authenticated } = work.volatile;
  if (waiting === null) return false;
  if (Object.keys(waiting.answered).length >= changeQuorum(work) - 1) {
    work.volatile.recall = null;
    work.rule('recalled', { epoch: waiting.epoch, answers: Object.keys(waiting.answered).length });
    tellOfSelf(work);
    return true;
  }
  if (work.nowMs < waiting.askAtMs) return false;
  for (const peer of Object.keys(authenticated))
    if (!waiting.answered[peer])
      work.emit({
        type: 'send',
        to: peer,
        frame: { type: 'recall', epoch: waiting.epoch, nonce: waiting.nonce },
      });
  work.volatile.recall = { ...waiting, askAtMs: work.nowMs + work.timing.resendMs };
  return true;
}

/**
 * Answers from durable records; peers that themselves wait answer too, and "nothing seen" counts. The answer
 * is signed with the key that the newest value lists, also by who may sign nothing else: it votes for
 * nothing.
 */
export function answerRecall(work: Work, from: string, epoch: number, nonce: Uint8Array): void {
  const head = headOf(work);
  const asker = head.roster.find((member) => member.peer === from);
  const self = selfIn(work);
  const secret = listedSecret(work);
  // With another head, one of us is behind: catch-up comes first, and then it asks again.
  if (asker === undefined || self === undefined || secret === null || epoch !== head.epoch + 1) return;
  const { attends, haves, votes, proposals } = work.durable;
  const said = [attends, haves, votes, proposals].flatMap((section) =>
    Object.values<Entry<Said>>(section)
      .filter(({ message }) => message.by === asker.index)
      .map(({ carried }) => carried.packet),
  );
  // Proposals are long and come last: of a round in which it proposed, the vote tells the same.
  const packets = fitting(said, ({ body }) => body.length).slice(0, limits.recalledPacketsMax);
  const memory: Memory = {
    v: 1,
    type: 'memory',
    by: self.index,
    epoch,
    to: asker.index,
    nonce,
    packets: hashOfRecalled(packets),
  };
  const packet = signPacket(work.clusterId, secret, encode(memory));
  work.emit({ type: 'send', to: from, frame: { type: 'recalled', packet, packets } });
}

/**
 * Counts an answer of an elector to this wait, whoever brought it. Both are at the same head, because both
 * name the epoch after it: so there is one roster whose keys can judge it. Throws `bad-signature`.
 */
export function receiveRecalled(work: Work<'muted'>, signed: Packet, packets: readonly Packet[]): void {
  const { recall: waiting } = work.volatile;
  const self = selfIn(work);
  if (waiting === null || self === undefined) return;
  const { by, epoch, to, nonce, packets: hash } = decode(memorySchema, signed.body);
  if (epoch !== waiting.epoch || to !== self.index || !sameBytes(nonce, waiting.nonce)) return;
  const elector = memberAt(electors(work), by);
  if (elector === undefined || elector.peer === work.peer) return;
  if (!sameBytes(hash, hashOfRecalled(packets)) || !verifyPacket(work.clusterId, elector.epochKey, signed))
    throw new ProtocolError('bad-signature', `what is remembered is not signed by member ${by}`);
  for (const packet of packets) {
    const message = decode(messageSchema, packet.body);
    if (
      message.type === 'dealing' ||
      message.by !== self.index ||
      !verifyPacket(work.clusterId, self.epochKey, packet)
    )
      continue;
    if (message.epoch === epoch) receiveOwn(work, message, packet);
  }
  work.volatile.recall = { ...waiting, answered: { ...waiting.answered, [elector.peer]: true } };
}

/**
 * A message of the undecided change that this member signed comes back to it. It was durable before it left:
 * a store that lacks it went back in time, and with it the locks that belong to it.
 */
export function receiveOwn(work: Work<'muted'>, message: Said, packet: Packet): void {
  const { muted, forced } = work.durable.own;
  // In a forced eviction what was said in the instance before, ordinary or of another one, was dropped on purpose.
  const dropped = forced !== null && isOfOtherInstance(work, message);
  if (muted !== null || dropped || holds(work, message, packet)) return;
  work.own({ muted: { epoch: message.epoch } });
  work.rule('muted', { epoch: message.epoch, missing: message.type });
}

function holds(state: ReadableState, message: Said, packet: Packet): boolean {
  const roundsKept = message.type === 'proposal' ? limits.proposalRoundsKept : limits.roundsKept;
  if ('round' in message && isPast(state, message.round, roundsKept)) return true; // long held, and gone with its round
  const held = keptInSlotOf(state, message);
  if (held === undefined) return false;
  if (held.message.type === 'have' && message.type === 'have') {
    return includesAll(held.message.digests, message.digests);
  }
  return sameBytes(held.carried.packet.body, packet.body);
}
