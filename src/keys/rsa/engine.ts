/**
 * Modular exponentiation, the whole cost of Holdfast. Long exponents, the secret ones among them, run in OpenSSL's
 * constant-time `BN_mod_exp_mont_consttime`, which Node reaches through a Diffie–Hellman object whose "prime" is our
 * modulus: 1.7 ms for 2048 bits, where BigInt needs 10. OpenSSL is trusted only after a known-answer test.
 */
import assert from 'node:assert/strict';
import { createDiffieHellman, type DiffieHellman } from 'node:crypto';
import { BoundedCache } from '../../crypto/bounded-cache.ts';
import { bitLength, bytesToInteger, mod, modInverse } from '../../crypto/integers.ts';

type EngineName = 'openssl' | 'bigint';

/** Below this a plain loop over BigInt is faster than the call into OpenSSL; such exponents are public. */
const shortExponentBits = 24;
/** OpenSSL's own limits for a Diffie–Hellman modulus, and what was measured to be right. */
const openSslModulusBits = { min: 512, max: 10_000 };
const openSslExponentBitsMax = 20_000;

/** The constructor tests its modulus for primality (1.5 ms), so one object is kept for each modulus. */
const objects = new BoundedCache<bigint, DiffieHellman>(16);

/** Node drops the last half byte of odd-length hex without a word. */
const evenHex = (n: bigint): string => {
  const hex = n.toString(16);
  return hex.length % 2 === 0 ? hex : `0${hex}`;
};

/** For 2 ≤ base ≤ modulus − 2 and exponent ≥ 1. OpenSSL throws when the result is 1 or modulus − 1. */
const openSslPow = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  const object = objects.getOrCompute(modulus, () => createDiffieHellman(evenHex(modulus), 'hex', 2));
  object.setPrivateKey(evenHex(exponent), 'hex');
  try {
    return BigInt(`0x${object.computeSecret(evenHex(base), 'hex', 'hex')}`);
  } finally {
    // The cached object must not keep a share.
    object.setPrivateKey('01', 'hex');
  }
};

/**
 * Euler: for the primes p = 2^521 − 1 and q = 2^607 − 1, 3^(m·(p−1)(q−1) + 5) = 243 mod pq. The two exponents have an
 * even and an odd number of hex digits, the answer has many leading zeros, and the modulus is composite, like ours.
 */
const passesKnownAnswerTest = (): boolean => {
  const [p, q] = [2n ** 521n - 1n, 2n ** 607n - 1n];
  const order = (p - 1n) * (q - 1n);
  try {
    return [order, 2n * order].every((multiple) => openSslPow(3n, multiple + 5n, p * q) === 243n);
  } catch {
    return false;
  }
};

let chosen: EngineName | undefined;

/** Which engine computes long exponents on this machine; decided by the known-answer test at first use. */
export const engineName = (): EngineName => {
  chosen ??= passesKnownAnswerTest() ? 'openssl' : 'bigint';
  return chosen;
};

const binaryPow = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === '1') result = (result * base) % modulus;
  }
  return result;
};

/** 4-bit windows over BigInt, for where OpenSSL does not serve. Exponent ≥ 0. Not constant-time. */
export const windowPow = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  const powers = [1n];
  for (let i = 1; i < 16; i++) powers.push((powers[i - 1]! * base) % modulus);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    for (let i = 0; i < 4; i++) result = (result * result) % modulus;
    result = (result * powers[Number.parseInt(digit, 16)]!) % modulus;
  }
  return result;
};

const openSslServes = (exponentBits: number, modulus: bigint): boolean => {
  const bits = bitLength(modulus);
  return (
    (modulus & 1n) === 1n &&
    bits >= openSslModulusBits.min &&
    bits <= openSslModulusBits.max &&
    exponentBits <= openSslExponentBitsMax &&
    engineName() === 'openssl'
  );
};

/**
 * base^exponent mod modulus, in [0, modulus), for any base and any sign of exponent.
 * Constant-time in the absolute value of exponents over 24 bits where OpenSSL serves (odd moduli of 512 bits and more).
 * @throws ArithmeticError for a negative exponent of a base without inverse
 */
export const modPow = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  assert(modulus > 1n, 'a modulus is at least 2');
  if (exponent < 0n) return modInverse(modPow(base, -exponent, modulus), modulus);
  const residue = mod(base, modulus);
  if (exponent === 0n) return 1n;
  if (residue <= 1n) return residue;
  if (residue === modulus - 1n) return (exponent & 1n) === 1n ? residue : 1n;
  const exponentBits = bitLength(exponent);
  if (exponentBits <= shortExponentBits) return binaryPow(residue, exponent, modulus);
  if (openSslServes(exponentBits, modulus)) {
    try {
      return openSslPow(residue, exponent, modulus);
    } catch {
      // OpenSSL refuses to give the results 1 and modulus − 1.
    }
  }
  return windowPow(residue, exponent, modulus);
};

/** How many secret random bytes a blinded power takes. */
export const blindingBytes = 16;

/**
 * The same for a secret exponent that is used again and again, as s = q·r + m with a fresh secret 128-bit r (Ciet and
 * Joye 2003, Euclid's splitting): no two runs raise to the same exponent, so that nothing can be averaged over many.
 */
export const blindedPow = (base: bigint, exponent: bigint, modulus: bigint, blinding: Uint8Array): bigint => {
  assert(blinding.length === blindingBytes, 'a blinding has its full length');
  if (exponent < 0n) return modInverse(blindedPow(base, -exponent, modulus, blinding), modulus);
  const divisor = bytesToInteger(blinding) | (1n << BigInt(8 * blindingBytes - 1));
  const high = modPow(modPow(base, divisor, modulus), exponent / divisor, modulus);
  return (high * modPow(base, exponent % divisor, modulus)) % modulus;
};

/**
 * ∏ base^exponent mod modulus, with at most one inversion.
 * One power after the other: shared squarings over BigInt (Straus) were measured, and are slower than OpenSSL.
 * @throws ArithmeticError for a negative exponent of a base without inverse
 */
export const modPowProduct = (
  pairs: ReadonlyArray<readonly [base: bigint, exponent: bigint]>,
  modulus: bigint,
): bigint => {
  let numerator = 1n;
  let denominator = 1n;
  for (const [base, exponent] of pairs) {
    if (exponent < 0n) denominator = (denominator * modPow(base, -exponent, modulus)) % modulus;
    else numerator = (numerator * modPow(base, exponent, modulus)) % modulus;
  }
  return denominator === 1n ? numerator : (numerator * modInverse(denominator, modulus)) % modulus;
};
