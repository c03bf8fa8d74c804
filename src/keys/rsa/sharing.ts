/**
 * How an RSA key is shared over the integers (protocol §2; Shoup 2000 §3, and over the integers as in Frankel,
 * Gemmell, MacKenzie, Yung 1997): f(X) = Δ·d + X·γ(X), peer i holds f(i), and nobody needs the secret group order.
 */
import { checkPrimeSync } from 'node:crypto';
import { ArithmeticError, KeyError } from '../../crypto/errors.ts';
import { bitLength, factorial } from '../../crypto/integers.ts';
import { modPow } from './engine.ts';
import { fold, isUnit } from './group.ts';

export interface SharingParameters {
  /** M: the highest index ever, fixed for a cluster. */
  readonly membersMax: number;
  /** k: the peers needed to use the key. */
  readonly threshold: number;
  /** |N| */
  readonly modulusBits: number;
}

/** What everybody knows of a key and what never changes. */
export interface KeyPublic {
  /** N */
  readonly modulus: bigint;
  /** e */
  readonly exponent: bigint;
  /** v */
  readonly base: bigint;
  /** V₀ = v^(Δd) */
  readonly constant: bigint;
}

/** t = k − 1 coefficients hide a share, and as many commitments are published. */
export const coefficientCount = (p: SharingParameters): number => p.threshold - 1;

/** Δ = M! */
export const delta = (membersMax: number): bigint => factorial(membersMax);

const ceilingLog2 = (n: bigint): number => bitLength(n - 1n);

/** log₂ B = |N| + 128 + ⌈log₂ Δ⌉ + t + ⌈log₂ t⌉ */
const coefficientBits = (p: SharingParameters): number => {
  const t = coefficientCount(p);
  return p.modulusBits + 128 + ceilingLog2(delta(p.membersMax)) + t + ceilingLog2(BigInt(t));
};

/** B: coefficients are uniform in [0, B). A power of two. */
export const coefficientBound = (p: SharingParameters): bigint => 1n << BigInt(coefficientBits(p));

/** How many random bytes one coefficient takes; surplus high bits are dropped. */
export const coefficientBytes = (p: SharingParameters): number => Math.ceil(coefficientBits(p) / 8);

/** log₂ of the share bound. */
export const shareBits = (p: SharingParameters): number => coefficientBits(p) + 16 * p.membersMax;

/** B·2^(16M): a share and a recovery sum are smaller in absolute value, for more epochs than anyone will see. */
export const shareBound = (p: SharingParameters): bigint => 1n << BigInt(shareBits(p));

/** (B − 1)·Σ_{m<t} j^m: the largest sub-share of receiver j. */
export const subShareBound = (p: SharingParameters, receiver: number): bigint => {
  let powers = 0n;
  for (let m = 0; m < coefficientCount(p); m++) powers = powers * BigInt(receiver) + 1n;
  return (coefficientBound(p) - 1n) * powers;
};

/** Tests use short keys; the commands refuse to make or to import any under 2048 bits. */
export const modulusBitsRange = { min: 512, max: 4096 };
const exponentBitsMax = 64;

/** Whether e is an odd prime above M, as gcd(4Δ³, e) = 1 needs, and not too large to be checked often. */
export const isPublicExponent = (exponent: bigint, membersMax: number): boolean =>
  exponent > 2n &&
  exponent > BigInt(membersMax) &&
  bitLength(exponent) <= exponentBitsMax &&
  checkPrimeSync(exponent);

/**
 * What every peer checks of a new key (protocol §2): sizes, e, and V₀^e = v^Δ, so that f(0) is Δ·d.
 * The group elements must be folded. @throws KeyError
 */
export const checkKeyPublic = (key: KeyPublic, membersMax: number): void => {
  const { modulus, exponent, base, constant } = key;
  const bits = bitLength(modulus);
  if (modulus < 0n || (modulus & 1n) === 0n || bits < modulusBitsRange.min || bits > modulusBitsRange.max)
    throw new KeyError(
      `the modulus must be odd and of ${modulusBitsRange.min} to ${modulusBitsRange.max} bits`,
    );
  if (!isPublicExponent(exponent, membersMax))
    throw new KeyError(`the public exponent must be an odd prime above ${membersMax}`);
  if (base === 1n || !isUnit(base, modulus) || base !== fold(base, modulus))
    throw new KeyError('the base v must be a folded unit other than 1');
  if (!isUnit(constant, modulus) || constant !== fold(constant, modulus))
    throw new KeyError('the constant V₀ must be a folded unit');
  const left = fold(modPow(constant, exponent, modulus), modulus);
  if (left !== fold(modPow(base, delta(membersMax), modulus), modulus))
    throw new KeyError('the constant V₀ does not belong to the exponent: V₀^e is not v^Δ');
};

/** ∏ C_m^(at^m), which is v^γ(at), by Horner in the exponent. Not folded. */
export const evaluateCommitments = (commitments: readonly bigint[], at: number, modulus: bigint): bigint =>
  commitments.reduceRight(
    (power, commitment) => (modPow(power, BigInt(at), modulus) * commitment) % modulus,
    1n,
  );

/** v_i = V₀·(∏ C_m^(i^m))^i, folded: what v^(s_i) must be. */
export const verificationKey = (key: KeyPublic, commitments: readonly bigint[], index: number): bigint => {
  const hidden = modPow(evaluateCommitments(commitments, index, key.modulus), BigInt(index), key.modulus);
  return fold(key.constant * hidden, key.modulus);
};

/**
 * For each index i, the integer λ_i = Δ·∏_{l≠i} (at − l)∕(i − l): Δ·f(at) = Σ λ_i·f(i) (Shoup 2000 §3).
 * @throws ArithmeticError for indices that repeat or are not in 1..M
 */
export const lagrangeAt = (
  indices: readonly number[],
  at: number,
  membersMax: number,
): Map<number, bigint> => {
  const fits = indices.every((i) => Number.isInteger(i) && i >= 1 && i <= membersMax);
  if (!fits || new Set(indices).size !== indices.length)
    throw new ArithmeticError(`indices must be different and in 1..${membersMax}`);
  const factor = delta(membersMax);
  return new Map(
    indices.map((i) => {
      let numerator = factor;
      let denominator = 1n;
      for (const l of indices) {
        if (l === i) continue;
        numerator *= BigInt(at - l);
        denominator *= BigInt(i - l);
      }
      // Exact: the denominator divides (i − 1)!·(M − i)!, and so Δ.
      return [i, numerator / denominator];
    }),
  );
};

/**
 * f(at) from as many values f(i) as f has coefficients.
 * @throws ArithmeticError when the values lie on no polynomial with an integer there: one of them is false
 */
export const interpolate = (values: ReadonlyMap<number, bigint>, at: number, membersMax: number): bigint => {
  let sum = 0n;
  for (const [i, lambda] of lagrangeAt([...values.keys()], at, membersMax)) sum += lambda * values.get(i)!;
  const factor = delta(membersMax);
  if (sum % factor !== 0n) throw new ArithmeticError('the values do not interpolate to an integer');
  return sum / factor;
};
