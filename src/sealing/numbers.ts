/** Numbers in envelopes (protocol §3): plaintexts of one length a key setting, tied to where they belong. */

import { EncodingError } from '../crypto/errors.ts';
import { bitLength, decodeSigned, encodeSigned } from '../crypto/integers.ts';
import { type SharingParameters, shareBits } from '../keys/rsa/sharing.ts';
import type { EnvelopeTie, KeySetting } from '../protocol/machine/io.ts';
import { encode, numberOf } from '../protocol/records/codec.ts';

const lengthBytes = 2;

export const parametersOf = ({ key, threshold, membersMax }: KeySetting): SharingParameters => ({
  membersMax,
  threshold,
  modulusBits: bitLength(numberOf(key.modulus)),
});

/**
 * How long every plaintext under these parameters is: no number, not even a recovery sum, is longer than a
 * share may be.
 */
const sealedNumberBytes = (parameters: SharingParameters): number =>
  lengthBytes + 1 + Math.ceil(shareBits(parameters) / 8);

/** length (2 bytes) ‖ sign and magnitude ‖ zeros. Throws RangeError for a number over the share bound. */
export function packNumber(n: bigint, parameters: SharingParameters): Uint8Array {
  const number = encodeSigned(n);
  const packed = new Uint8Array(sealedNumberBytes(parameters));
  if (number.length + lengthBytes > packed.length)
    throw new RangeError('the number is over the bound of shares');
  new DataView(packed.buffer).setUint16(0, number.length);
  packed.set(number, lengthBytes);
  return packed;
}

/** The number in an opened envelope; throws EncodingError for anything that `packNumber` would not have made. */
export function unpackNumber(packed: Uint8Array, parameters: SharingParameters): bigint {
  if (packed.length !== sealedNumberBytes(parameters))
    throw new EncodingError('a sealed number has another length');
  const length = new DataView(packed.buffer, packed.byteOffset).getUint16(0);
  const end = lengthBytes + length;
  if (length === 0 || end > packed.length || packed.subarray(end).some((byte) => byte !== 0))
    throw new EncodingError('a sealed number is not padded with zeros');
  return decodeSigned(packed.subarray(lengthBytes, end));
}

/** The associated data of an envelope: canonical bytes of everything that it belongs to. */
export const envelopeContext = (tie: EnvelopeTie & { key: Uint8Array }): Uint8Array =>
  encode([tie.cluster, tie.epoch, tie.plan, tie.key, tie.digest, tie.sender, tie.receiver]);
