/** A packet: one signed message. The body travels as the bytes that were signed, so nothing is ever re-encoded. */
import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { sign, verify } from '../../crypto/signature.ts';
import { shape } from './codec.ts';
import { limits } from './limits.ts';

/** A packet whose body is at most so long: what nobody has decoded yet is kept and passed on by its length alone. */
export const packetUpTo = (bodyBytesMax: number) =>
  z.strictObject({ body: shape.bytes(bodyBytesMax), signature: shape.signature });
/** Of an Attend, a vote, a Ready, an accusation, a grant or an accept. */
export const shortPacketSchema = packetUpTo(limits.shortBodyBytesMax);
export type Packet = z.infer<typeof shortPacketSchema>;

/** What is signed: domain ‖ cluster id ‖ canonical CBOR (§4). */
const signedBytes = (clusterId: Uint8Array, body: Uint8Array): Uint8Array =>
  hashOf('holdfast/message/1', clusterId, body);

export const signPacket = (clusterId: Uint8Array, epochSecret: Uint8Array, body: Uint8Array): Packet => ({
  body,
  signature: sign(epochSecret, signedBytes(clusterId, body)),
});
export const verifyPacket = (clusterId: Uint8Array, epochKey: Uint8Array, packet: Packet): boolean =>
  verify(epochKey, signedBytes(clusterId, packet.body), packet.signature);
