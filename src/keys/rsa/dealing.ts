/**
 * A dealing with root ρ (protocol §3): the polynomial (X − ρ)·γ(X), dealt as γ. The dealer publishes C_m = v^γ_m and
 * sends receiver j the number γ(j), and the receiver multiplies by j − ρ itself: so a dealer can deal nothing else.
 * Verifiable as in Feldman 1987, refresh as in Herzberg et al. 1995 §3, over the integers with a public modulus.
 */
import assert from 'node:assert/strict';
import { absolute, bytesToInteger } from '../../crypto/integers.ts';
import { modPow } from './engine.ts';
import { areUnits, fold } from './group.ts';
import {
  coefficientBound,
  coefficientBytes,
  coefficientCount,
  evaluateCommitments,
  type KeyPublic,
  type SharingParameters,
  shareBound,
  subShareBound,
  verificationKey,
} from './sharing.ts';

/**
 * The t coefficients of γ, uniform in [0, B), from uniform secret bytes.
 * @param bytes exactly t·coefficientBytes(parameters) @throws RangeError for another number of bytes
 */
export const coefficientsFromBytes = (bytes: Uint8Array, parameters: SharingParameters): bigint[] => {
  const count = coefficientCount(parameters);
  const length = coefficientBytes(parameters);
  if (bytes.length !== count * length)
    throw new RangeError(`${count} coefficients take ${count * length} bytes`);
  const mask = coefficientBound(parameters) - 1n;
  return Array.from(
    { length: count },
    (_, m) => bytesToInteger(bytes.subarray(m * length, (m + 1) * length)) & mask,
  );
};

/** The dealer's commitments C_m = v^γ_m, folded. */
export const deal = (dealing: {
  key: KeyPublic;
  parameters: SharingParameters;
  coefficients: readonly bigint[];
}): bigint[] => {
  const { key, parameters, coefficients } = dealing;
  const bound = coefficientBound(parameters);
  assert(coefficients.length === coefficientCount(parameters), 'a dealing has t coefficients');
  assert(
    coefficients.every((c) => c >= 0n && c < bound),
    'coefficients are in [0, B)',
  );
  return coefficients.map((c) => fold(modPow(key.base, c, key.modulus), key.modulus));
};

/** γ(receiver), secret: what the dealer sends. */
export const subShare = (coefficients: readonly bigint[], receiver: number): bigint =>
  coefficients.reduceRight((sum, coefficient) => sum * BigInt(receiver) + coefficient, 0n);

export interface SubShareCheck {
  key: KeyPublic;
  parameters: SharingParameters;
  commitments: readonly bigint[];
  receiver: number;
  subShare: bigint;
}

/** All that protocol §3 asks of a sub-share but the equation. */
const isWellFormed = (check: SubShareCheck): boolean =>
  check.commitments.length === coefficientCount(check.parameters) &&
  check.subShare >= 0n &&
  check.subShare <= subShareBound(check.parameters, check.receiver) &&
  areUnits(check.commitments, check.key.modulus);

/** Whether a dealer's number fits its commitments: their number, units, range, and v^g = ∏ C_m^(j^m). */
export const checkSubShare = (check: SubShareCheck): boolean => {
  if (!isWellFormed(check)) return false;
  const { base, modulus } = check.key;
  const expected = evaluateCommitments(check.commitments, check.receiver, modulus);
  return fold(modPow(base, check.subShare, modulus), modulus) === fold(expected, modulus);
};

/**
 * The same for several dealings of one key to one receiver, with one long exponentiation: v^(Σ w·g) = ∏ (∏
 * C_m^(j^m))^w.
 * @param weights one a dealing, fresh, secret and uniform of 128 bits: two false numbers pass with
 * probability 2^−128.
 *   All 1 is a plain sum: only for sets that are used whole, because errors of two liars can cancel in it.
 */
export const checkSubSharesTogether = (
  checks: readonly SubShareCheck[],
  weights: readonly bigint[],
): boolean => {
  assert(checks.length === weights.length, 'one weight for each dealing');
  const first = checks[0];
  if (first === undefined) return true;
  const { key, receiver } = first;
  assert(
    checks.every((c) => c.key.modulus === key.modulus && c.key.base === key.base && c.receiver === receiver),
    'one key, one receiver',
  );
  if (!checks.every(isWellFormed)) return false;
  let sum = 0n;
  let expected = 1n;
  checks.forEach((check, position) => {
    const weight = weights[position]!;
    sum += weight * check.subShare;
    const image = evaluateCommitments(check.commitments, receiver, key.modulus);
    expected = (expected * modPow(image, weight, key.modulus)) % key.modulus;
  });
  return fold(modPow(key.base, sum, key.modulus), key.modulus) === fold(expected, key.modulus);
};

/** s + Σ (index − root)·γ(index): the new share of an epoch (root 0), or a recovery helper's masked share (root r). */
export const applyDealings = (applied: {
  share: bigint;
  index: number;
  root: number;
  subShares: readonly bigint[];
}): bigint =>
  applied.subShares.reduce((sum, g) => sum + BigInt(applied.index - applied.root) * g, applied.share);

/** ∏ C_m for every m, folded. A shorter list, from before k was raised, counts as filled up with 1. */
export const combineCommitments = (lists: ReadonlyArray<readonly bigint[]>, key: KeyPublic): bigint[] =>
  Array.from({ length: Math.max(0, ...lists.map((list) => list.length)) }, (_, m) =>
    fold(
      lists.reduce((product, list) => (product * (list[m] ?? 1n)) % key.modulus, 1n),
      key.modulus,
    ),
  );

/** Whether |s| is within its bound and v^s = v_i. */
export const checkShare = (check: {
  key: KeyPublic;
  parameters: SharingParameters;
  commitments: readonly bigint[];
  index: number;
  share: bigint;
}): boolean => {
  const { key, parameters, commitments, index, share } = check;
  if (absolute(share) >= shareBound(parameters)) return false;
  return fold(modPow(key.base, share, key.modulus), key.modulus) === verificationKey(key, commitments, index);
};

/** (∏ C_m^(at^m))^(at − root), folded: v to what a dealing with this root adds to the share of `at`. */
export const dealingImage = (dealing: {
  key: KeyPublic;
  commitments: readonly bigint[];
  at: number;
  root: number;
}): bigint => {
  const { key, commitments, at, root } = dealing;
  const image = evaluateCommitments(commitments, at, key.modulus);
  return fold(modPow(image, BigInt(at - root), key.modulus), key.modulus);
};

/**
 * Whether a helper's sum in a recovery run (protocol §5) is its share plus exactly the chosen masks:
 * v^sum = v_index·∏ (image of a mask), and within the bound of shares.
 */
export const checkMaskedShare = (check: {
  key: KeyPublic;
  parameters: SharingParameters;
  /** Of the epoch's shares. */
  commitments: readonly bigint[];
  /** Of every chosen mask; all were checked as dealings before. */
  masks: ReadonlyArray<readonly bigint[]>;
  index: number;
  /** The index that recovers. */
  root: number;
  sum: bigint;
}): boolean => {
  const { key, parameters, commitments, masks, index, root, sum } = check;
  if (absolute(sum) >= shareBound(parameters)) return false;
  const image = dealingImage({ key, commitments: combineCommitments(masks, key), at: index, root });
  const expected = fold(verificationKey(key, commitments, index) * image, key.modulus);
  return fold(modPow(key.base, sum, key.modulus), key.modulus) === expected;
};
