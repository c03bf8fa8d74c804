/** Numbers in envelopes (protocol §3): plaintexts of one length a key, tied to where they belong. */
import { open, seal } from '../cipher/envelope.ts';
import type { CipherName } from '../cipher/local-cipher.ts';
import { SealError } from '../cipher/seal-error.ts';
import { EncodingError } from '../crypto/errors.ts';
import type { NumberCoding } from '../keys/kind.ts';
import type { EnvelopeTie } from '../protocol/machine/io.ts';
import { encode } from '../protocol/records/codec.ts';

/** What an envelope of one key is tied to. */
export type NumberTie = EnvelopeTie & { key: Uint8Array };

/** The associated data of an envelope: canonical bytes of everything that it belongs to. */
const contextOf = (tie: NumberTie): Uint8Array =>
  encode([tie.cluster, tie.epoch, tie.plan, tie.key, tie.digest, tie.sender, tie.receiver]);

/**
 * @param sealed.number in the encoding of its kind
 * @param sealed.entropy 32 uniformly random bytes for this one envelope
 * Throws RangeError for a number over the bound of shares.
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

/** The number in an envelope; null for anything that `sealNumber` would not have made for this place. */
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
