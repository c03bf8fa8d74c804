/** Keys to measure with, from ready-made safe primes. No time depends on which key it is. */

import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { modInverse } from '../../src/crypto/integers.ts';
import { createKeyFromPrimes, type KeyCreation } from '../../src/keys/rsa/creation.ts';
import { elementBytes } from '../../src/keys/rsa/numbers.ts';
import type { SharingParameters } from '../../src/keys/rsa/sharing.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import primes from '../../src/simulation/world/safe-primes.json' with { type: 'json' };

/** The sizes of the keys, in bits. */
export type Bits = 2048 | 3072;
const e = 65537n;

export const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

export const primesOf = (bits: Bits): { p: bigint; q: bigint } => {
  const [p = '', q = ''] = primes[bits === 2048 ? '1024' : '1536'];
  return { p: BigInt(`0x${p}`), q: BigInt(`0x${q}`) };
};

export const parametersOf = (bits: Bits, threshold: number): SharingParameters => ({
  membersMax: limits.membersDefault,
  threshold,
  modulusBits: bits,
});

export const sharedKey = (bits: Bits, threshold: number): KeyCreation =>
  createKeyFromPrimes({
    ...primesOf(bits),
    e,
    parameters: parametersOf(bits, threshold),
    randomBytes: random,
  });

/** The same key whole, as OpenSSL has it on one machine. */
export function wholeKey(bits: Bits): KeyObject {
  const { p, q } = primesOf(bits);
  const d = modInverse(e, (p - 1n) * (q - 1n));
  const field = (n: bigint): string => Buffer.from(elementBytes(n)).toString('base64url');
  const basic = { kty: 'RSA', n: field(p * q), e: field(e), d: field(d), p: field(p), q: field(q) };
  const chinese = { dp: field(d % (p - 1n)), dq: field(d % (q - 1n)), qi: field(modInverse(q, p)) };
  return createPrivateKey({ key: { ...basic, ...chinese }, format: 'jwk' });
}
