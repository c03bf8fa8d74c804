/**
 * Threshold RSA signing (Shoup, Practical threshold signatures, 2000, §3.1; protocol §2): partials, their combination,
 * and the proofs that name a liar. The same arithmetic decrypts.
 */
import assert from 'node:assert/strict';
import { ArithmeticError, EncodingError } from '../../crypto/errors.ts';
import { hashOf } from '../../crypto/hash.ts';
import {
  absolute,
  bitLength,
  bytesToInteger,
  decodeSigned,
  encodeSigned,
  integerToBytes,
  modInverse,
} from '../../crypto/integers.ts';
import { blindedPow, modPow, modPowProduct } from './engine.ts';
import { areUnits, fold, isUnit } from './group.ts';
import {
  delta,
  type KeyPublic,
  lagrangeAt,
  type SharingParameters,
  shareBits,
  verificationKey,
} from './sharing.ts';

/**
 * x_i = x^(2Δ·s_i), folded: what a peer gives for a block x.
 * @throws ArithmeticError for a block that is no unit mod N
 */
export const partial = (request: {
  key: KeyPublic;
  parameters: SharingParameters;
  share: bigint;
  block: bigint;
  /** `blindingBytes` secret random bytes. */
  blinding: Uint8Array;
}): bigint => {
  const { key, parameters, share, block, blinding } = request;
  if (!isUnit(block, key.modulus)) throw new ArithmeticError('the block is no unit modulo the key');
  const exponent = 2n * delta(parameters.membersMax) * share;
  return fold(blindedPow(block, exponent, key.modulus, blinding), key.modulus);
};

/**
 * y = x^d from exactly k partials, or null when it does not verify: at least one partial is false.
 * With w = ∏ x_i^(2λ_i) = x^(4Δ³d) and a·4Δ³ + b·e = 1, y = w^a·x^b. Partials are only used squared, so a folded sign
 * never reaches y. Partials are not trusted; y^e = x is.
 */
export const combine = (request: {
  key: KeyPublic;
  parameters: SharingParameters;
  block: bigint;
  partials: ReadonlyMap<number, bigint>;
}): bigint | null => {
  const { key, parameters, block, partials } = request;
  const { modulus, exponent } = key;
  assert(partials.size === parameters.threshold, 'exactly k partials are combined');
  if (!areUnits([block, ...partials.values()], modulus)) return null;
  const cube = 4n * delta(parameters.membersMax) ** 3n;
  const a = modInverse(cube, exponent);
  const b = (1n - a * cube) / exponent;
  const lambdas = lagrangeAt([...partials.keys()], 0, parameters.membersMax);
  const powers = [...partials].map(([i, value]) => [value, 2n * lambdas.get(i)! * a] as const);
  const y = modPowProduct([...powers, [block, b]], modulus);
  return modPow(y, exponent, modulus) === block ? y : null;
};

/** That a partial was made with the share behind v_i; says nothing about the share. */
export interface Proof {
  readonly challenge: bigint;
  readonly response: bigint;
}

const challengeBytes = 32;

/** 2^(S+384), 2^S the share bound: hides s·c (S + 256 bits) but for 2^−128. The paper's own range is too short here. */
const nonceBits = (p: SharingParameters): number => shareBits(p) + 384;

/** How many secret random bytes a proof takes; surplus high bits are dropped. */
export const nonceBytes = (p: SharingParameters): number => Math.ceil(nonceBits(p) / 8);

interface Statement {
  key: KeyPublic;
  parameters: SharingParameters;
  index: number;
  block: bigint;
  partial: bigint;
  /** Key id and epoch, put together by the caller. */
  context: Uint8Array;
}

const challengeOf = (
  statement: Statement,
  verification: bigint,
  announcement: { base: bigint; block: bigint },
): bigint => {
  const { key, index, block, context } = statement;
  const length = Math.ceil(bitLength(key.modulus) / 8);
  const numbers = [
    key.modulus,
    key.exponent,
    key.base,
    key.constant,
    verification,
    block,
    statement.partial,
    announcement.base,
    announcement.block,
  ];
  const parts = numbers.map((n) => integerToBytes(n, length));
  const place = encodeSigned(BigInt(index));
  return bytesToInteger(hashOf('holdfast/partial-proof/1', context, place, ...parts));
};

/** v² and x^(4Δ): the bases in which v_i² and x_i² have the same logarithm, s_i. */
const basesOf = ({ key, parameters, block }: Statement): { base: bigint; block: bigint } => ({
  base: modPow(key.base, 2n, key.modulus),
  block: modPow(block, 4n * delta(parameters.membersMax), key.modulus),
});

/**
 * Proves log_{v²} v_i² = log_{x^4Δ} x_i² (Shoup 2000 §3.1, "share correctness"), by Fiat–Shamir.
 * @param proving.nonceBytes `nonceBytes(parameters)` bytes, secret, uniform and never used twice: a repeated nonce
 *   gives the share away
 * @param proving.blinding `blindingBytes` secret random bytes
 */
export const prove = (
  proving: Statement & { share: bigint; nonceBytes: Uint8Array; blinding: Uint8Array },
): Proof => {
  const { key, parameters, share, blinding } = proving;
  assert(proving.nonceBytes.length === nonceBytes(parameters), 'a nonce has its full length');
  const nonce = bytesToInteger(proving.nonceBytes) & ((1n << BigInt(nonceBits(parameters))) - 1n);
  const bases = basesOf(proving);
  const announcement = {
    base: modPow(bases.base, nonce, key.modulus),
    block: modPow(bases.block, nonce, key.modulus),
  };
  const verification = fold(blindedPow(key.base, share, key.modulus, blinding), key.modulus);
  const challenge = challengeOf(proving, verification, announcement);
  return { challenge, response: nonce + challenge * share };
};

/** Whether a proof shows that the partial of `index` is right under the epoch's commitments. */
export const verifyProof = (
  checked: Statement & { commitments: readonly bigint[]; proof: Proof },
): boolean => {
  const { key, parameters, commitments, index, block, proof } = checked;
  if (!areUnits([block, checked.partial], key.modulus)) return false;
  // One bit above the nonce: s·c is shorter than it.
  if (bitLength(absolute(proof.response)) > nonceBits(parameters) + 1) return false;
  if (proof.challenge < 0n || bitLength(proof.challenge) > 8 * challengeBytes) return false;
  const bases = basesOf(checked);
  const verification = verificationKey(key, commitments, index);
  const announcement = {
    base: modPowProduct(
      [
        [bases.base, proof.response],
        [verification, -2n * proof.challenge],
      ],
      key.modulus,
    ),
    block: modPowProduct(
      [
        [bases.block, proof.response],
        [checked.partial, -2n * proof.challenge],
      ],
      key.modulus,
    ),
  };
  return challengeOf(checked, verification, announcement) === proof.challenge;
};

/** The challenge in 32 bytes, then the response as a canonical signed integer. */
export const encodeProof = (proof: Proof): Uint8Array =>
  new Uint8Array([...integerToBytes(proof.challenge, challengeBytes), ...encodeSigned(proof.response)]);

/** @throws EncodingError for any bytes that `encodeProof` would not have written */
export const decodeProof = (bytes: Uint8Array): Proof => {
  if (bytes.length <= challengeBytes) throw new EncodingError('a proof is longer than its challenge');
  return {
    challenge: bytesToInteger(bytes.subarray(0, challengeBytes)),
    response: decodeSigned(bytes.subarray(challengeBytes)),
  };
};

/** How many sets of k are tried when all proofs pass and the signature still fails. */
const setsTriedMax = 256;

/**
 * Sets of `size`, the first ones first; each next one differs in many members, so that few suspects soon fall
 * outside one.
 */
function* setsOf(indices: readonly number[], size: number): Generator<number[]> {
  const { length } = indices;
  if (length < size) return;
  for (let stride = 1; stride === 1 || stride < length; stride += 1)
    for (let start = 0; start < length; start += 1) {
      const set = new Set(Array.from({ length: size }, (_, at) => indices[(start + at * stride) % length]!));
      if (set.size === size) yield [...set];
    }
}

export interface RobustResult {
  signature: bigint | null;
  /** Whose proof is missing or fails. */
  culprits: number[];
  /** Whose proof passes and whose partial still spoils a signature: only possible where primes are not safe. */
  suspects: number[];
}

/**
 * Combines k or more partials, some of them false: first the first k as they come, and only on failure by the proofs,
 * leaving out whoever fails (protocol §2).
 */
export const combineRobust = (request: {
  key: KeyPublic;
  parameters: SharingParameters;
  commitments: readonly bigint[];
  block: bigint;
  partials: ReadonlyMap<number, { partial: bigint; proof: Proof | null }>;
  context: Uint8Array;
}): RobustResult => {
  const { key, parameters, commitments, block, partials, context } = request;
  const k = parameters.threshold;
  const combineThese = (indices: readonly number[]): bigint | null =>
    combine({ key, parameters, block, partials: new Map(indices.map((i) => [i, partials.get(i)!.partial])) });

  const all = [...partials.keys()];
  const optimistic = all.length < k ? null : combineThese(all.slice(0, k));
  if (optimistic !== null) return { signature: optimistic, culprits: [], suspects: [] };

  const proven = all.filter((index) => {
    const { partial, proof } = partials.get(index)!;
    return (
      proof !== null && verifyProof({ key, parameters, commitments, index, block, partial, proof, context })
    );
  });
  const culprits = all.filter((index) => !proven.includes(index));
  let setsTried = 0;
  for (const set of setsOf(proven, k)) {
    const signature = combineThese(set);
    if (signature !== null) {
      // In the first set nobody was tried and found wanting; in a later one, whoever spoils this good set is suspect.
      const spoils = (index: number): boolean =>
        !set.includes(index) && combineThese([...set.slice(1), index]) === null;
      return { signature, culprits, suspects: setsTried === 0 ? [] : proven.filter(spoils) };
    }
    setsTried += 1;
    if (setsTried === setsTriedMax) break;
  }
  return { signature: null, culprits, suspects: [] };
};
