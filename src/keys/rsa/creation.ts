/**
 * Making a shared key from its primes (protocol §2 and the row "key creation" of §3). The only code that ever sees a
 * whole private key; it runs in the operator's command, and what it returns must be forgotten after the decision.
 */
import { checkPrimeSync, generatePrime } from 'node:crypto';
import { promisify } from 'node:util';
import { KeyError } from '../../crypto/errors.ts';
import { bitLength, bytesToInteger, gcd, mod, modInverse } from '../../crypto/integers.ts';
import { coefficientsFromBytes, deal, subShare } from './dealing.ts';
import { modPow } from './engine.ts';
import { areUnits, fold, isUnit } from './group.ts';
import {
  coefficientBytes,
  coefficientCount,
  delta,
  isPublicExponent,
  type KeyPublic,
  type SharingParameters,
  subShareBound,
  verificationKey,
} from './sharing.ts';

export interface Primes {
  readonly p: bigint;
  readonly q: bigint;
}

const findPrime = promisify<number, { bigint: true; safe: true }, bigint>(generatePrime);

/**
 * Two safe primes whose product has exactly `modulusBits` bits. Searches in libuv's threads, both at once: seconds for
 * 2048 bits, up to minutes for 4096. A search that was aborted ends in its thread, its result unused.
 * @param onProgress told how many of the two primes are found
 */
export const generateSafePrimes = async (
  modulusBits: number,
  signal?: AbortSignal,
  onProgress?: (primesFound: number) => void,
): Promise<Primes> => {
  if (modulusBits % 2 !== 0) throw new KeyError('the modulus must have an even number of bits');
  signal?.throwIfAborted();
  let primesFound = 0;
  const search = async (): Promise<bigint> => {
    // OpenSSL sets the two highest bits, so the product never falls short of a bit.
    const prime = await findPrime(modulusBits / 2, { bigint: true, safe: true });
    primesFound += 1;
    if (signal?.aborted !== true) onProgress?.(primesFound);
    return prime;
  };
  let stopListening = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    stopListening = () => signal?.removeEventListener('abort', abort);
  });
  try {
    const [p, q] = await Promise.race([Promise.all([search(), search()]), aborted]);
    return p === q ? await generateSafePrimes(modulusBits, signal, onProgress) : { p, q };
  } finally {
    stopListening();
  }
};

/**
 * Whether p, q, (p − 1)/2 and (q − 1)/2 are all prime and p ≠ q. An imported key may fail this and still be
 * used (§3).
 */
export const checkSafePrimes = (p: bigint, q: bigint): boolean =>
  p !== q && [p, q, (p - 1n) / 2n, (q - 1n) / 2n].every((n) => n > 2n && checkPrimeSync(n));

/** Secret but for `public` and `commitments`. */
export interface KeyCreation {
  readonly public: KeyPublic;
  readonly commitments: readonly bigint[];
  readonly coefficients: readonly bigint[];
  /** Δ·d = f(0) */
  readonly secretConstant: bigint;
}

const randomUnit = (modulus: bigint, randomBytes: (length: number) => Uint8Array): bigint => {
  for (;;) {
    // 128 bits more than the modulus has: the residue is uniform but for 2^−128.
    const u = mod(bytesToInteger(randomBytes(Math.ceil(bitLength(modulus) / 8) + 16)), modulus);
    if (isUnit(u, modulus)) return u;
  }
};

/**
 * Shares the key of two primes: d = e⁻¹ mod (p−1)(q−1), v = u² for a random u, V₀ = v^(Δd), fresh coefficients of γ.
 * Primes need not be safe (import). @throws KeyError for primes, sizes or an exponent that give no key
 */
export const createKeyFromPrimes = (creation: {
  p: bigint;
  q: bigint;
  e: bigint;
  parameters: SharingParameters;
  randomBytes: (length: number) => Uint8Array;
}): KeyCreation => {
  const { p, q, e, parameters, randomBytes } = creation;
  const modulus = p * q;
  const order = (p - 1n) * (q - 1n);
  if (p === q || ![p, q].every((prime) => prime > 2n && checkPrimeSync(prime)))
    throw new KeyError('the key must have two different primes');
  if (bitLength(modulus) !== parameters.modulusBits)
    throw new KeyError(
      `the modulus has ${bitLength(modulus)} bits where ${parameters.modulusBits} were asked for`,
    );
  if (!isPublicExponent(e, parameters.membersMax))
    throw new KeyError(`the public exponent must be an odd prime above ${parameters.membersMax}`);
  if (gcd(e, order) !== 1n) throw new KeyError('the public exponent divides p − 1 or q − 1');

  const secretConstant = delta(parameters.membersMax) * modInverse(e, order);
  let base: bigint;
  do base = fold(randomUnit(modulus, randomBytes) ** 2n, modulus);
  while (base === 1n);
  const key: KeyPublic = {
    modulus,
    exponent: e,
    base,
    constant: fold(modPow(base, secretConstant, modulus), modulus),
  };
  const bytes = randomBytes(coefficientCount(parameters) * coefficientBytes(parameters));
  const coefficients = coefficientsFromBytes(bytes, parameters);
  bytes.fill(0);
  return { public: key, commitments: deal({ key, parameters, coefficients }), coefficients, secretConstant };
};

/** f(receiver) = Δ·d + receiver·γ(receiver), secret: the first share of a peer. */
export const creationShare = (creation: KeyCreation, receiver: number): bigint =>
  creation.secretConstant + BigInt(receiver) * subShare(creation.coefficients, receiver);

/** What a peer checks of its first share: commitments, 0 ≤ f(j) ≤ ΔN + j·(B − 1)·Σ j^m, and v^f(j) = v_j. */
export const checkCreationShare = (check: {
  key: KeyPublic;
  parameters: SharingParameters;
  commitments: readonly bigint[];
  receiver: number;
  share: bigint;
}): boolean => {
  const { key, parameters, commitments, receiver, share } = check;
  const bound =
    delta(parameters.membersMax) * key.modulus + BigInt(receiver) * subShareBound(parameters, receiver);
  if (commitments.length !== coefficientCount(parameters)) return false;
  if (share < 0n || share > bound || !areUnits(commitments, key.modulus)) return false;
  return (
    fold(modPow(key.base, share, key.modulus), key.modulus) === verificationKey(key, commitments, receiver)
  );
};
