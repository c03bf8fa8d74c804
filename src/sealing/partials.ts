/**
 * Partials of a decryption, sealed to the one-time key in the client's signed request (protocol §2, "Use").
 * The member that collects them only passes them on. Only the client learns the plaintext.
 */
import { z } from 'zod';
import { open, seal } from '../cipher/envelope.ts';
import type { CipherName } from '../cipher/local-cipher.ts';
import { bytesToInteger, integerToBytes } from '../crypto/integers.ts';
import { decode, encode, shape } from '../protocol/records/codec.ts';
import { ProtocolError } from '../protocol/records/errors.ts';
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
  partial: shape.bytes(limits.groupElementBytesMax),
  proof: shape.bytes(limits.proofBytesMax).nullable(),
});

const contextOf = ({ body, epoch, index }: PartialTie): Uint8Array =>
  encode(['holdfast/sealed-partial/1', hashOfUse(body), epoch, index]);

/**
 * Seals one member's partial to the one-time key of the request.
 *
 * - `entropy`: 32 uniformly random bytes, for this envelope only.
 * - `partial`: below `N`. It is sealed at the length of the ciphertext.
 * - `proof`: null unless the client asked for proofs.
 *
 * @throws SealError `weak-public-key` for a one-time key that protects nothing
 */
export function sealPartial(request: {
  tie: PartialTie;
  cipher: CipherName;
  entropy: Uint8Array;
  partial: bigint;
  proof: Uint8Array | null;
}): Uint8Array {
  const { tie, cipher, entropy, partial, proof } = request;
  const plaintext = encode({ partial: integerToBytes(partial, tie.body.ciphertext.length), proof });
  const receiverKey = tie.body.sealingKey;
  return seal({ cipher, receiverKey, entropy, context: contextOf(tie), plaintext });
}

/**
 * Opens a sealed partial from a member. The member is not trusted: the caller still checks the partial.
 * @throws SealError, ProtocolError for an envelope that `sealPartial` never makes for this tie
 */
export function openPartial(request: { tie: PartialTie; secretKey: Uint8Array; envelope: Uint8Array }): {
  partial: bigint;
  proof: Uint8Array | null;
} {
  const { tie, secretKey, envelope } = request;
  const { partial, proof } = decode(contentSchema, open({ secretKey, context: contextOf(tie), envelope }));
  if (partial.length !== tie.body.ciphertext.length)
    throw new ProtocolError('malformed', 'a sealed partial is as long as the ciphertext');
  return { partial: bytesToInteger(partial), proof };
}
