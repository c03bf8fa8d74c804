/** The slot of each message: signing and keeping those of this member, and keeping those of others; two for one slot are evidence. */

import { signingSecret } from '../machine/queries.ts';
import { authorKey, voteKey } from '../machine/record-keys.ts';
import { includesAll, keptInSlotOf, type Said } from '../machine/slots.ts';
import type { Work } from '../machine/work.ts';
import type { Attend, Carried } from '../records/change-messages.ts';
import { encode, sameBytes } from '../records/codec.ts';
import type { Order } from '../records/order.ts';
import { type Packet, signPacket } from '../records/packet.ts';
import { blameBoth, contradict } from './contradiction.ts';

/** All but an Attend, of which two different ones are passed on as proof. */
type Spoken = Exclude<Said, Attend>;

/**
 * Keeps a verified message in its slot. A second, different one for the slot is a contradiction (§4): the first stays
 * and its author is blamed, except for a Have, which may grow.
 * @returns whether the state changed.
 */
export const keepMessage = (work: Work, message: Spoken, carried: Carried): boolean =>
  keepInSlot(work, message, carried, (first) => blameBoth(work, message, first, carried.packet));

/** Keeps a verified Attend likewise. Its orders lie with its plan, once for all. */
export function keepAttend(work: Work<'contradiction'>, message: Attend, { packet }: Carried): boolean {
  const isNews = keepInSlot(work, message, { packet }, (first) => contradict(work, message, first, packet));
  if (isNews) work.volatile.gatheringSinceMs ??= work.nowMs;
  return isNews;
}

function keepInSlot(
  work: Work,
  message: Said,
  carried: Carried,
  onContradiction: (first: Packet) => void,
): boolean {
  const held = keptInSlotOf(work, message);
  if (held !== undefined) {
    if (sameBytes(held.carried.packet.body, carried.packet.body)) return false;
    const [before, now] = [held.message, message].map((one) => (one.type === 'have' ? one.digests : null));
    if (before && now && includesAll(before, now)) return false;
    if (!before || !now || !includesAll(now, before)) {
      onContradiction(held.carried.packet);
      return false;
    }
  }
  putInSlot(work, message, carried);
  return true;
}

function putInSlot(work: Work, message: Said, carried: Carried): void {
  switch (message.type) {
    case 'attend':
      return work.put('attends', authorKey(message), { message, carried });
    case 'have':
      return work.put('haves', authorKey(message), { message, carried });
    case 'proposal':
      return work.put('proposals', message.round, { message, carried });
    case 'prevote':
    case 'precommit':
      return work.put('votes', voteKey(message), { message, carried });
    case 'ready':
      return work.put('readys', message.by, { message, carried });
  }
}

/** Signs, keeps and publishes a message of this member. Callers have checked `signingSecret`. */
export function signAndPublish(
  work: Work,
  unsigned: (by: number) => Spoken,
  extra: Omit<Carried, 'packet'> = {},
): void {
  const said = signedBy(work, unsigned, extra);
  if (said === null) return;
  keepMessage(work, said.message, said.carried);
  work.emit({ type: 'publish', frame: { type: 'message', message: said.carried } });
}

/** The same for an Attend, with the orders of its plan. */
export function signAndPublishAttend(
  work: Work<'contradiction'>,
  unsigned: (by: number) => Attend,
  orders: Order[],
): void {
  const said = signedBy(work, unsigned, { orders });
  if (said === null) return;
  keepAttend(work, said.message, said.carried);
  work.emit({ type: 'publish', frame: { type: 'message', message: said.carried } });
}

function signedBy<Of extends Said>(
  work: Work,
  unsigned: (by: number) => Of,
  extra: Omit<Carried, 'packet'>,
): { message: Of; carried: Carried } | null {
  const signer = signingSecret(work);
  if (signer === null) return null;
  const message = unsigned(signer.index);
  return {
    message,
    carried: { packet: signPacket(work.clusterId, signer.secret, encode(message)), ...extra },
  };
}
