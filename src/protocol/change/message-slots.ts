/** The slot of each message: signing and keeping those of this member, and keeping those of others; two for one slot are evidence. */

import { signingSecret } from '../machine/queries.ts';
import { includesAll, type Said, slotOf } from '../machine/slots.ts';
import type { Durable, Entry } from '../machine/state.ts';
import type { Work } from '../machine/work.ts';
import type { Carried, Message } from '../records/change-messages.ts';
import { encode, sameBytes } from '../records/codec.ts';
import { signPacket } from '../records/packet.ts';
import { blameBoth, contradict } from './contradiction.ts';

/**
 * Keeps a verified message in its slot. A second, different one for the slot is a contradiction (§4): the first stays
 * and its author is blamed, except for a Have, which may grow. The orders of an Attend lie with its plan, once for all.
 * @returns whether the state changed.
 */
export function keepMessage(work: Work, message: Said, carried: Carried): boolean {
  const { section, key } = slotOf(message);
  const held = (work.durable[section] as Record<string, Entry<Message>>)[key];
  if (held !== undefined) {
    if (sameBytes(held.carried.packet.body, carried.packet.body)) return false;
    if (message.type === 'have' && held.message.type === 'have') {
      if (includesAll(held.message.digests, message.digests)) return false;
      if (!includesAll(message.digests, held.message.digests)) {
        blameBoth(work, message, held.carried.packet, carried.packet);
        return false;
      }
    } else {
      if (message.type === 'attend') contradict(work, message, held.carried.packet, carried.packet);
      else blameBoth(work, message, held.carried.packet, carried.packet);
      return false;
    }
  }
  if (message.type === 'attend') work.volatile.gatheringSinceMs ??= work.nowMs;
  (work.put as (section: keyof Durable, key: string, entry: unknown) => void).call(work, section, key, {
    message,
    carried: message.type === 'attend' ? { packet: carried.packet } : carried,
  });
  return true;
}

/** Signs, keeps and publishes a message of this member. Callers have checked `signingSecret`. */
export function signAndPublish(
  work: Work,
  unsigned: (by: number) => Said,
  extra: Omit<Carried, 'packet'> = {},
): void {
  const signer = signingSecret(work);
  if (signer === null) return;
  const message = unsigned(signer.index);
  const carried: Carried = { packet: signPacket(work.clusterId, signer.secret, encode(message)), ...extra };
  keepMessage(work, message, carried);
  work.emit({ type: 'publish', frame: { type: 'message', message: carried } });
}
