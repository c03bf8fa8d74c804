/**
 * Partials of a decryption, sealed to the one-time key in the client's signed request (protocol §2, "Use").
 * The member that collects them only passes them on. Only the client learns the plaintext.
 */
import { z } from 'zod';
import { open, seal } from '../cipher/envelope.ts';
import type { CipherName } from '../cipher/local-cipher.ts';
import type { GivenPartial } from '../keys/kind/operation.ts';
import { decodePiece, encode, shape } from '../protocol/records/codec.ts';
import { limits } from '../protocol/records/limits.ts';
import { type DecryptBody, hashOfUse } from '../protocol/records/use-request.ts';

/**
 * All that a sealed partial is tied to: the request with its one-time key, the epoch, and the member's index.
 */
interface PartialTie {
  body: DecryptBody;
  epoch: number;
  index: number;
}

const contentSchema = z.strictObject({
  partial: shape.element,
  proof: shape.bytes(limits.proofBytesMax).nullable(),
});

const contextOf = ({ body, epoch, index }: PartialTie): Uint8Array =>
  encode(['holdfast/sealed-partial/1', hashOfUse(body), epoch, index]);

/**
 * Seals one member's partial to the one-time key of the request. The kind of the key gives all its partials
 * one length, so an envelope's length tells nothing.
 *
 * - `entropy`: 32 uniformly random bytes, for this envelope only.
 * - `given`: its proof is null unless the client asked for proofs.
 *
 * @throws SealError `weak-public-key` for a one-time key that protects nothing
 */
export function sealPartial(request: {
  tie: PartialTie;
  cipher: CipherName;
  entropy: Uint8Array;
  given: GivenPartial;
}): Uint8Array {
  const { tie, cipher, entropy, given } = request;
  const plaintext = encode(given);
  const receiverKey = tie.body.sealingKey;
  return seal({ cipher, receiverKey, entropy, context: contextOf(tie), plaintext });
}

/** @throws SealError or ProtocolError for anything that `sealPartial` would not have made for this request */
export function openPartial(request: {
  tie: PartialTie;
  secretKey: Uint8Array;
  envelope: Uint8Array;
}): GivenPartial {
  const { tie, secretKey, envelope } = request;
  const opened = open({ secretKey, context: contextOf(tie), envelope });
  return decodePiece(contentSchema, opened, limits.requestBytesMax);
}
