/** What whoever has a member's keys can make anybody believe that the member said. */
import { listedSecret } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { type Carried, type Frame, hashOfEvidence } from '../../protocol/records/change-messages.ts';
import { encode } from '../../protocol/records/codec.ts';
import { type Packet, signPacket } from '../../protocol/records/packet.ts';

/**
 * Any body, as version 1 where it names none, signed with the present epoch key of the member with this state. Null
 * when the member has none.
 */
export function signedAs(state: CoreState, body: object): Packet | null {
  const secret = listedSecret(state);
  return secret && signPacket(state.clusterId, secret, encode({ v: 1, ...body }));
}

/** A frame with such a message. The message names the hash of its evidence. */
export function forgedAs(
  state: CoreState,
  message: object,
  extra: Omit<Carried, 'packet'> = {},
): Frame | null {
  const { evidence } = extra;
  const body = evidence ? { ...message, evidence: hashOfEvidence(evidence) } : message;
  const packet = signedAs(state, body);
  return packet && { type: 'message', message: { packet, ...extra } };
}
