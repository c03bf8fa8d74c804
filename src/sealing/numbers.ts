/**
 * Numbers in envelopes (protocol §3). All plaintexts of one key have the same length. Each envelope is tied
 * to the place that it belongs to.
 */
import { open, seal } from '../cipher/envelope.ts';
import type { CipherName } from '../cipher/local-cipher.ts';
import { SealError } from '../cipher/seal-error.ts';
import { EncodingError } from '../crypto/errors.ts';
import type { NumberCoding } from '../keys/kind/shared-key.ts';
import type { EnvelopeTie } from '../protocol/machine/io.ts';
import { encode } from '../protocol/records/codec.ts';

/** All that an envelope of one key is tied to. */
export type NumberTie = EnvelopeTie & { key: Uint8Array };

/** The associated data of an envelope: canonical bytes of all that it is tied to. */
const contextOf = (tie: NumberTie): Uint8Array =>
  encode([tie.cluster, tie.epoch, tie.plan, tie.key, tie.digest, tie.sender, tie.receiver]);

/**
 * Seals one number for the owner of `receiverKey` (X25519, 32 bytes, sent by a peer and not trusted).
 *
 * - `number`: in the encoding of the key's kind.
 * - `entropy`: 32 uniformly random bytes, for this envelope only.
 *
 * @throws RangeError for a number over the bound of shares
 * @throws SealError `weak-public-key` for a receiver's key that protects nothing
 */
export function sealNumber(sealed: {
  coding: NumberCoding;
  tie: NumberTie;
  cipher: CipherName;
  receiverKey: Uint8Array;
  entropy: Uint8Array;
  number: Uint8Array;
}): Uint8Array {
  const { coding, tie, cipher, receiverKey, entropy, number } = sealed;
  const plaintext = coding.pack(number);
  try {
    return seal({ cipher, receiverKey, entropy, context: contextOf(tie), plaintext });
  } finally {
    plaintext.fill(0);
  }
}

/**
 * The number in an envelope from a peer. The result is null for an envelope that `sealNumber` never makes for
 * this tie.
 */
export function openNumber(opened: {
  coding: NumberCoding;
  tie: NumberTie;
  secretKey: Uint8Array;
  envelope: Uint8Array;
}): Uint8Array | null {
  const { coding, tie, secretKey, envelope } = opened;
  try {
    return coding.unpack(open({ secretKey, context: contextOf(tie), envelope }));
  } catch (error) {
    if (error instanceof SealError || error instanceof EncodingError) return null;
    throw error;
  }
}
