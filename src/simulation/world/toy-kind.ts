/**
 * A kind of key for tests: shares modulo a prime, in the squares modulo a safe prime p = 2q + 1, with proofs
 * of knowledge as trials. It has little in common with RSA: whatever works with both knows neither. It is no
 * cryptography that anybody should use: the group is small, and nothing is constant-time.
 */

import { KeyError } from '../../crypto/errors.ts';
import { bytesToInteger, mod, modInverse } from '../../crypto/integers.ts';
import type { JointCreation, PossessionStatement } from '../../keys/kind/joint-creation.ts';
import type { Kind } from '../../keys/kind/kind.ts';
import type {
  DealtKey,
  KeySetting,
  RandomBytes,
  SharedKey,
  SubShareCheck,
  TrialStatement,
} from '../../keys/kind/shared-key.ts';
import {
  bytes,
  elementIn,
  elementOf,
  encodeInteger,
  generator,
  hashed,
  image,
  join,
  numberOf,
  p,
  power,
  q,
  verificationOf,
} from './toy-group.ts';
import { toySign } from './toy-signing.ts';

/** Uniform numbers from random bytes, twice as many as a number has for each. */
const numbersFrom = (random: Uint8Array, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, m) =>
    encodeInteger(mod(bytesToInteger(random.subarray(2 * bytes * m, 2 * bytes * (m + 1))), q)),
  );
const commitmentsTo = (coefficients: readonly Uint8Array[]): Uint8Array[] =>
  coefficients.map((coefficient) => encodeInteger(power(generator, numberOf(coefficient))));
/** The polynomial's value. The first coefficient is the constant one. */
const valueAt = (coefficients: readonly Uint8Array[], receiver: number): Uint8Array =>
  encodeInteger(
    coefficients.reduceRight(
      (sum, coefficient) => mod(sum * BigInt(receiver) + numberOf(coefficient), q),
      0n,
    ),
  );

class ToyKey implements SharedKey {
  readonly #public: bigint;
  readonly #threshold: number;
  readonly coefficientBytes: number;

  constructor({ public: publicBytes, threshold }: KeySetting) {
    const element = elementIn(publicBytes);
    if (element === null) throw new KeyError('this is no public key of the toy kind');
    this.#public = element;
    this.#threshold = threshold;
    this.coefficientBytes = (threshold - 1) * 2 * bytes;
  }

  coefficientsFrom(random: Uint8Array): Uint8Array[] {
    if (random.length !== this.coefficientBytes) throw new RangeError('another number of random bytes');
    return numbersFrom(random, this.#threshold - 1);
  }

  commit(coefficients: readonly Uint8Array[]): Uint8Array[] {
    return commitmentsTo(coefficients);
  }

  subShare(coefficients: readonly Uint8Array[], receiver: number): Uint8Array {
    return valueAt(coefficients, receiver);
  }

  isDealing(commitments: readonly Uint8Array[]): boolean {
    return (
      commitments.length === this.#threshold - 1 &&
      commitments.every((commitment) => elementIn(commitment) !== null)
    );
  }

  checkSubShares(checks: readonly SubShareCheck[], receiver: number): boolean[] {
    return checks.map(
      ({ commitments, subShare }) =>
        this.isDealing(commitments) && power(generator, numberOf(subShare)) === image(commitments, receiver),
    );
  }

  checkFirstShare({ commitments, subShare }: SubShareCheck, receiver: number): boolean {
    return this.isDealing(commitments) && this.checkShare(commitments, receiver, subShare);
  }

  applyDealings(applied: {
    share: Uint8Array;
    index: number;
    root: number;
    subShares: readonly Uint8Array[];
  }): Uint8Array {
    const factor = BigInt(applied.index - applied.root);
    return encodeInteger(
      applied.subShares.reduce(
        (sum, subShare) => mod(sum + factor * numberOf(subShare), q),
        numberOf(applied.share),
      ),
    );
  }

  checkShare(commitments: readonly Uint8Array[], index: number, share: Uint8Array): boolean {
    return power(generator, numberOf(share)) === verificationOf(this.#public, commitments, index);
  }

  verificationKey(commitments: readonly Uint8Array[], index: number): Uint8Array {
    return encodeInteger(verificationOf(this.#public, commitments, index));
  }

  checkMaskedShare(check: {
    commitments: readonly Uint8Array[];
    masks: ReadonlyArray<readonly Uint8Array[]>;
    index: number;
    root: number;
    sum: Uint8Array;
  }): boolean {
    const { commitments, masks, index, root, sum } = check;
    const mask = masks.reduce((product, list) => (product * image(list, index)) % p, 1n);
    const expected =
      (verificationOf(this.#public, commitments, index) * power(mask, BigInt(index - root))) % p;
    return power(generator, numberOf(sum)) === expected;
  }

  interpolate(values: ReadonlyMap<number, Uint8Array>, at: number): Uint8Array | null {
    const indices = [...values.keys()];
    let sum = 0n;
    for (const [i, value] of values) {
      const others = indices.filter((other) => other !== i);
      const over = others.reduce((product, other) => mod(product * BigInt(at - other), q), 1n);
      const under = others.reduce((product, other) => mod(product * BigInt(i - other), q), 1n);
      sum = mod(sum + numberOf(value) * over * modInverse(under, q), q);
    }
    return encodeInteger(sum);
  }

  pack(number: Uint8Array): Uint8Array {
    return encodeInteger(numberOf(number));
  }

  unpack(packed: Uint8Array): Uint8Array {
    return encodeInteger(numberOf(packed));
  }

  /** A proof of knowledge of the share (Schnorr 1991), as challenge and response. */
  trial(made: {
    statement: TrialStatement;
    index: number;
    share: Uint8Array;
    randomBytes: RandomBytes;
  }): Uint8Array {
    const { statement, index, randomBytes } = made;
    const share = numberOf(made.share);
    const nonce = mod(bytesToInteger(randomBytes(2 * bytes)), q);
    const challenge = challengeOf(statement, index, power(generator, share), power(generator, nonce));
    return new Uint8Array([...encodeInteger(challenge), ...encodeInteger(mod(nonce + challenge * share, q))]);
  }

  /** The proof is all the trials that it was made of, one after the other. */
  combineTrials(combined: {
    statement: TrialStatement;
    commitments: readonly Uint8Array[];
    trials: ReadonlyMap<number, Uint8Array>;
  }): { proof: Uint8Array | null; culprits: number[]; suspects: number[] } {
    const { statement, commitments, trials } = combined;
    const culprits = [...trials].flatMap(([index, trial]) =>
      this.#isTrial(statement, commitments, index, trial) ? [] : [index],
    );
    const enough = trials.size >= this.#threshold && culprits.length === 0;
    return { proof: enough ? join([...trials.values()]) : null, culprits, suspects: [] };
  }

  checkTrialProof(checked: {
    statement: TrialStatement;
    commitments: readonly Uint8Array[];
    members: readonly number[];
    proof: Uint8Array;
  }): boolean {
    const { statement, commitments, members, proof } = checked;
    return (
      proof.length === members.length * 2 * bytes &&
      members.every((index, at) =>
        this.#isTrial(statement, commitments, index, proof.subarray(2 * bytes * at, 2 * bytes * (at + 1))),
      )
    );
  }

  #isTrial(
    statement: TrialStatement,
    commitments: readonly Uint8Array[],
    index: number,
    trial: Uint8Array,
  ): boolean {
    const challenge = bytesToInteger(trial.subarray(0, bytes));
    const response = bytesToInteger(trial.subarray(bytes));
    if (trial.length !== 2 * bytes || challenge >= q || response >= q) return false;
    const verification = verificationOf(this.#public, commitments, index);
    const announcement = (power(generator, response) * power(verification, -challenge)) % p;
    return challengeOf(statement, index, verification, announcement) === challenge;
  }
}

const challengeOf = (
  { cluster, epoch, value, key }: TrialStatement,
  index: number,
  verification: bigint,
  announcement: bigint,
): bigint =>
  hashed(
    cluster,
    encodeInteger(BigInt(epoch)),
    value,
    key,
    encodeInteger(BigInt(index)),
    encodeInteger(verification),
    encodeInteger(announcement),
  );

/** The challenge of a proof that somebody knows the logarithm of `element`. */
const possessionOf = (
  { cluster, plan, creation, dealer }: PossessionStatement,
  commitments: readonly Uint8Array[],
  announcement: bigint,
): bigint =>
  hashed(cluster, plan, creation, encodeInteger(BigInt(dealer)), ...commitments, encodeInteger(announcement));

const joint: JointCreation = {
  coefficientBytes: (threshold) => threshold * 2 * bytes,

  coefficientsFrom(random, threshold) {
    if (random.length !== threshold * 2 * bytes) throw new RangeError('another number of random bytes');
    return numbersFrom(random, threshold);
  },

  commit: commitmentsTo,
  number: valueAt,

  possession({ statement, coefficients, randomBytes }) {
    const constant = numberOf(coefficients[0] as Uint8Array);
    const nonce = mod(bytesToInteger(randomBytes(2 * bytes)), q);
    const challenge = possessionOf(statement, joint.commit(coefficients), power(generator, nonce));
    return join([encodeInteger(challenge), encodeInteger(mod(nonce + challenge * constant, q))]);
  },

  checkPart({ statement, threshold, commitments, possession }) {
    const [constant] = commitments;
    if (commitments.length !== threshold || constant === undefined || possession.length !== 2 * bytes)
      return false;
    if (commitments.some((each) => elementIn(each) === null) || elementIn(constant) === 1n) return false;
    const [challenge, response] = [
      bytesToInteger(possession.subarray(0, bytes)),
      bytesToInteger(possession.subarray(bytes)),
    ];
    if (challenge >= q || response >= q) return false;
    const announcement = (power(generator, response) * power(elementOf(constant), -challenge)) % p;
    return possessionOf(statement, commitments, announcement) === challenge;
  },

  checkNumber: (commitments, receiver, number) =>
    power(generator, numberOf(number)) === image(commitments, receiver),

  combine(parts) {
    const [constant, ...commitments] = toy.combineCommitments(new Uint8Array(), parts) ?? [];
    return constant === undefined || elementIn(constant) === 1n ? null : { public: constant, commitments };
  },

  sum: (numbers) => encodeInteger(numbers.reduce((sum, number) => mod(sum + numberOf(number), q), 0n)),

  pack: (number) => encodeInteger(numberOf(number)),
  unpack: (packed) => encodeInteger(numberOf(packed)),
};

export const toy: Kind = {
  name: 'toy',
  operations: { sign: toySign },
  isQuick: false,
  joint,

  checkPublic(publicBytes) {
    const element = elementIn(publicBytes);
    if (element === null || element === 1n) throw new KeyError('this is no public key of the toy kind');
  },

  publicForms(publicBytes) {
    const text = Buffer.from(publicBytes).toString('hex');
    return { bits: 8 * bytes, pem: `toy ${text}`, jwk: { kty: 'toy', x: text }, ssh: `toy ${text}` };
  },

  identityOf: (publicBytes) => publicBytes,

  areWellFormed: (_, elements) => elements.every(({ length }) => length === bytes),

  combineCommitments: (_, lists) => {
    const read = lists.map((list) => list.map(elementIn).filter((element) => element !== null));
    if (read.some((list, at) => list.length !== lists[at]?.length)) return null;
    return Array.from({ length: Math.max(0, ...lists.map(({ length }) => length)) }, (_each, m) =>
      encodeInteger(read.reduce((product, list) => (product * (list[m] ?? 1n)) % p, 1n)),
    );
  },

  shared: (setting) => new ToyKey(setting),
};

/** A key that one machine makes and shares. */
export function toyKey(options: { threshold: number; randomBytes: RandomBytes }): DealtKey {
  const { threshold, randomBytes } = options;
  const secret = mod(bytesToInteger(randomBytes(2 * bytes)), q);
  const publicBytes = encodeInteger(power(generator, secret));
  const shared = new ToyKey({ public: publicBytes, threshold, membersMax: 0 });
  const coefficients = shared.coefficientsFrom(randomBytes(shared.coefficientBytes));
  return {
    kind: toy.name,
    public: publicBytes,
    commitments: shared.commit(coefficients),
    firstShare: (index) =>
      shared.applyDealings({
        share: encodeInteger(secret),
        index,
        root: 0,
        subShares: [shared.subShare(coefficients, index)],
      }),
  };
}

/** For the oracle, which sees every secret. */
export const toyArithmetic = {
  /** The value at 0 of the polynomial through these shares. */
  at0(shares: ReadonlyMap<number, bigint>): bigint {
    const indices = [...shares.keys()];
    return [...shares].reduce((sum, [i, share]) => {
      const others = indices.filter((other) => other !== i);
      const over = others.reduce((product, other) => mod(product * BigInt(-other), q), 1n);
      const under = others.reduce((product, other) => mod(product * BigInt(i - other), q), 1n);
      return mod(sum + share * over * modInverse(under, q), q);
    }, 0n);
  },
  isSecretOf: (publicBytes: Uint8Array, secret: bigint): boolean =>
    power(generator, secret) === elementOf(publicBytes),
  isProven: (
    statement: PossessionStatement,
    commitments: readonly Uint8Array[],
    possession: Uint8Array,
  ): boolean => joint.checkPart({ statement, threshold: commitments.length, commitments, possession }),
  fits: (commitments: readonly Uint8Array[], receiver: number, subShare: bigint): boolean =>
    power(generator, subShare) === image(commitments, receiver),
};
