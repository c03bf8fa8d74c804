/** RSA's numbers as bytes: group elements and public values as shortest big-endian numbers, secrets with a sign. */
import { EncodingError } from '../../crypto/errors.ts';
import { bitLength, bytesToInteger, decodeSigned, integerToBytes } from '../../crypto/integers.ts';
import { type KeyPublic, type SharingParameters, shareBits } from './sharing.ts';

/** A positive integer in the only form in which it travels. */
export const elementBytes = (n: bigint): Uint8Array => integerToBytes(n, Math.ceil(bitLength(n) / 8));

/** Whether bytes are a positive number in its shortest form. */
export const isShortest = (bytes: Uint8Array): boolean => bytes.length > 0 && bytes[0] !== 0;

/** @throws EncodingError for anything that `elementBytes` would not have made */
export function elementOf(bytes: Uint8Array): bigint {
  if (!isShortest(bytes)) throw new EncodingError('not a positive number in its shortest form');
  return bytesToInteger(bytes);
}

const lengthBytes = 2;

/** N, e, v and V₀, each after its length in two bytes. */
export function encodePublic(key: KeyPublic): Uint8Array {
  const parts = [key.modulus, key.exponent, key.base, key.constant].map(elementBytes);
  return new Uint8Array(
    Buffer.concat(parts.flatMap((part) => [integerToBytes(BigInt(part.length), lengthBytes), part])),
  );
}

/** @throws EncodingError for anything that `encodePublic` would not have made */
export function decodePublic(bytes: Uint8Array): KeyPublic {
  let at = 0;
  const next = (): bigint => {
    const start = at + lengthBytes;
    if (start > bytes.length) throw new EncodingError('the public values of an RSA key end too early');
    const end = start + Number(bytesToInteger(bytes.subarray(at, start)));
    if (end > bytes.length) throw new EncodingError('the public values of an RSA key end too early');
    at = end;
    return elementOf(bytes.subarray(start, end));
  };
  const [modulus, exponent, base, constant] = [next(), next(), next(), next()];
  if (at !== bytes.length) throw new EncodingError('the public values of an RSA key go on too long');
  return { modulus, exponent, base, constant };
}

/**
 * How long every packed number is: no number, not even a recovery sum, is longer than a share may be.
 */
const packedBytes = (parameters: SharingParameters): number =>
  lengthBytes + 1 + Math.ceil(shareBits(parameters) / 8);

/** length (2 bytes) ‖ sign and magnitude ‖ zeros. @throws RangeError for a number over the share bound */
export function packNumber(number: Uint8Array, parameters: SharingParameters): Uint8Array {
  const packed = new Uint8Array(packedBytes(parameters));
  if (number.length + lengthBytes > packed.length)
    throw new RangeError('the number is over the bound of shares');
  new DataView(packed.buffer).setUint16(0, number.length);
  packed.set(number, lengthBytes);
  return packed;
}

/** @throws EncodingError for anything that `packNumber` would not have made of a number */
export function unpackNumber(packed: Uint8Array, parameters: SharingParameters): Uint8Array {
  if (packed.length !== packedBytes(parameters))
    throw new EncodingError('a sealed number has another length');
  const length = new DataView(packed.buffer, packed.byteOffset).getUint16(0);
  const end = lengthBytes + length;
  if (length === 0 || end > packed.length || packed.subarray(end).some((byte) => byte !== 0))
    throw new EncodingError('a sealed number is not padded with zeros');
  const number = packed.slice(lengthBytes, end);
  decodeSigned(number);
  return number;
}
