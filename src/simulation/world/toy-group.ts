/**
 * The arithmetic of the toy kind: the squares modulo a safe prime p = 2q + 1, a group of prime order q.
 * Numbers are modulo q. A number or an element has 32 bytes, the highest first.
 */
import { EncodingError } from '../../crypto/errors.ts';
import { hashOf } from '../../crypto/hash.ts';
import { bytesToInteger, integerToBytes, mod } from '../../crypto/integers.ts';
import { samplePrimes } from './sample-keys.ts';

export const { p } = samplePrimes(512);
/** The order of the group, a prime. */
export const q = (p - 1n) / 2n;
export const generator = 4n;
export const bytes = 32;

export function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base];
  for (let rest = mod(exponent, q); rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % p;
    square = (square * square) % p;
  }
  return result;
}

export const encodeInteger = (n: bigint): Uint8Array => integerToBytes(n, bytes);

/** Numbers begin with a zero byte now and then: nothing may take them for the numbers of another kind. */
export function numberOf(encoded: Uint8Array): bigint {
  const number = bytesToInteger(encoded);
  if (encoded.length !== bytes || number >= q) throw new EncodingError('not a number of this kind');
  return number;
}

/** Null for bytes that are no element of the group, in their one encoding. */
export function elementIn(encoded: Uint8Array): bigint | null {
  if (encoded.length !== bytes) return null;
  const element = bytesToInteger(encoded);
  return element > 0n && element < p && (power(element, q - 1n) * element) % p === 1n ? element : null;
}

export function elementOf(encoded: Uint8Array): bigint {
  const element = elementIn(encoded);
  if (element === null) throw new EncodingError('not an element of this group');
  return element;
}

export const hashed = (...parts: Uint8Array[]): bigint => mod(bytesToInteger(hashOf('toy/1', ...parts)), q);

export const join = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** ∏ C_m^(at^m) */
export const image = (commitments: readonly Uint8Array[], at: number): bigint =>
  commitments.reduceRight(
    (product, commitment) => (power(product, BigInt(at)) * elementOf(commitment)) % p,
    1n,
  );

/** What everybody can compute of the share of `index`: the public key times the image of its polynomial. */
export const verificationOf = (key: bigint, commitments: readonly Uint8Array[], index: number): bigint =>
  (key * power(image(commitments, index), BigInt(index))) % p;
