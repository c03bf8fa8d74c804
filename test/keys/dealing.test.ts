import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArithmeticError, KeyError } from '../../src/crypto/errors.ts';
import { bytesToInteger, modInverse } from '../../src/crypto/integers.ts';
import {
  checkCreationShare,
  checkSafePrimes,
  createKeyFromPrimes,
  generateSafePrimes,
} from '../../src/keys/rsa/creation.ts';
import {
  applyDealings,
  checkMaskedShare,
  checkShare,
  checkSubShare,
  checkSubSharesTogether,
  coefficientsFromBytes,
  combineCommitments,
  deal,
  dealingImage,
  subShare,
} from '../../src/keys/rsa/dealing.ts';
import { modPow } from '../../src/keys/rsa/engine.ts';
import { fold, isUnit } from '../../src/keys/rsa/group.ts';
import {
  checkKeyPublic,
  coefficientBound,
  coefficientBytes,
  delta,
  interpolate,
  lagrangeAt,
  shareBound,
  subShareBound,
  verificationKey,
} from '../../src/keys/rsa/sharing.ts';
import {
  randomCoefficients,
  refreshed,
  sampleCreation,
  samplePrimes,
  sharingOf,
  subsetsOf,
} from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';

const parameters = { membersMax: 8, threshold: 3, modulusBits: 512 } as const;
const { p, q } = samplePrimes(512);
const creation = sampleCreation(parameters);
const key = creation.public;
const members = [1, 2, 4, 5, 7, 8];
const initial = sharingOf(creation, parameters, members);
const random = seededBytes('dealing');
const d = modInverse(65537n, (p - 1n) * (q - 1n));

/** f(X) with everything known: the oracle. */
const naiveValue = (coefficients: readonly bigint[], x: number): bigint =>
  delta(8) * d + BigInt(x) * coefficients.reduce((sum, c, m) => sum + c * BigInt(x) ** BigInt(m), 0n);

const refreshTimes = (count: number, dealers = 2) => {
  let sharing = initial;
  for (let i = 0; i < count; i++)
    sharing = refreshed(
      sharing,
      Array.from({ length: dealers }, () => randomCoefficients(parameters, random)),
    );
  return sharing;
};

describe('key creation', () => {
  test('every first share is f(j) of the naive polynomial and passes its check', () => {
    checkKeyPublic(key, 8);
    for (const [receiver, share] of initial.shares) {
      expect(share).toBe(naiveValue(creation.coefficients, receiver));
      expect(checkCreationShare({ key, parameters, commitments: initial.commitments, receiver, share })).toBe(
        true,
      );
    }
  });

  test('a first share that is altered, negative, out of range or of another receiver is refused', () => {
    const { commitments } = initial;
    const share = initial.shares.get(2)!;
    const order = (p - 1n) * (q - 1n);
    const accepts = (receiver: number, value: bigint, list = commitments) =>
      checkCreationShare({ key, parameters, commitments: list, receiver, share: value });
    expect(accepts(2, share + 1n)).toBe(false);
    expect(accepts(4, share)).toBe(false);
    expect(accepts(2, share, commitments.slice(1))).toBe(false);
    expect(accepts(2, share, [...commitments, 1n])).toBe(false);
    // The equation alone holds for these: only the range refuses them.
    expect(accepts(2, share - (share / order + 1n) * order)).toBe(false);
    expect(accepts(2, share + order * coefficientBound(parameters))).toBe(false);
  });

  test('public values that do not belong together are refused', () => {
    const bad = [
      { ...key, exponent: 3n },
      { ...key, exponent: 65539n },
      { ...key, exponent: 65539n * 3n },
      { ...key, exponent: 7n },
      { ...key, modulus: key.modulus + 1n },
      { ...key, modulus: p },
      { ...key, base: 1n },
      { ...key, base: key.modulus - 1n },
      { ...key, base: p },
      { ...key, base: key.modulus - key.base },
      { ...key, constant: fold(key.constant * 2n, key.modulus) },
      { ...key, constant: 0n },
    ];
    for (const value of bad) expect(() => checkKeyPublic(value, 8)).toThrow(KeyError);
  });

  test('primes and exponents that give no key are refused', () => {
    const make = (change: object) => () =>
      createKeyFromPrimes({ p, q, e: 65537n, parameters, randomBytes: random, ...change });
    expect(make({ q: p })).toThrow(KeyError);
    expect(make({ q: q + 2n })).toThrow(KeyError);
    expect(make({ e: 5n })).toThrow(KeyError);
    expect(make({ e: 65535n })).toThrow(KeyError);
    expect(make({ parameters: { ...parameters, modulusBits: 2048 } })).toThrow(KeyError);
  });

  test('safe primes are found, with progress, and an aborted search ends at once', async () => {
    const found: number[] = [];
    const primes = await generateSafePrimes(256, undefined, (count) => found.push(count));
    expect(checkSafePrimes(primes.p, primes.q)).toBe(true);
    expect((primes.p * primes.q).toString(2).length).toBe(256);
    expect(found).toEqual([1, 2]);
    expect(checkSafePrimes(13n, 23n)).toBe(false);
    const stop = new AbortController();
    const search = generateSafePrimes(256, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(search).rejects.toThrow('stopped');
  });
});

describe('dealing', () => {
  const coefficients = randomCoefficients(parameters, random);
  const commitments = deal({ key, parameters, coefficients });
  const check = { key, parameters, commitments, receiver: 5, subShare: subShare(coefficients, 5) };

  test('coefficients fill [0, B) and take exactly their bytes', () => {
    const bytes = new Uint8Array(2 * coefficientBytes(parameters)).fill(0xff);
    expect(coefficientsFromBytes(bytes, parameters)).toEqual(
      new Array(2).fill(coefficientBound(parameters) - 1n),
    );
    expect(() => coefficientsFromBytes(bytes.subarray(1), parameters)).toThrow(RangeError);
    // |N| + 128 + ⌈log₂ 8!⌉ + t + ⌈log₂ t⌉
    expect(coefficientBound(parameters)).toBe(2n ** BigInt(512 + 128 + 16 + 2 + 1));
    expect(shareBound(parameters)).toBe(coefficientBound(parameters) * 2n ** 128n);
  });

  test('every true sub-share is accepted', () => {
    for (const receiver of members)
      expect(checkSubShare({ ...check, receiver, subShare: subShare(coefficients, receiver) })).toBe(true);
  });

  test('the largest possible sub-share is in range, and one more is not', () => {
    const largest = new Array(2).fill(coefficientBound(parameters) - 1n);
    expect(subShare(largest, 5)).toBe(subShareBound(parameters, 5));
    const order = (p - 1n) * (q - 1n);
    expect(
      checkSubShare({ ...check, subShare: check.subShare - (check.subShare / order + 1n) * order }),
    ).toBe(false);
    expect(
      checkSubShare({ ...check, subShare: check.subShare + coefficientBound(parameters) * 8n * order }),
    ).toBe(false);
  });

  test('wrong numbers, wrong receivers, wrong counts and non-units are refused', () => {
    expect(checkSubShare({ ...check, subShare: check.subShare + 1n })).toBe(false);
    expect(checkSubShare({ ...check, receiver: 4 })).toBe(false);
    expect(checkSubShare({ ...check, commitments: commitments.slice(0, 1) })).toBe(false);
    expect(checkSubShare({ ...check, commitments: [...commitments, 1n] })).toBe(false);
    for (const value of [0n, -1n, p, key.modulus, key.modulus + commitments[0]!])
      expect(checkSubShare({ ...check, commitments: [value, commitments[1]!] })).toBe(false);
  });

  test('a commitment with its sign flipped is harmless: every equation and the epoch after it are the same', () => {
    const flipped = commitments.map((c, m) => (m === 0 ? key.modulus - c : c));
    expect(checkSubShare({ ...check, commitments: flipped })).toBe(true);
    expect(combineCommitments([initial.commitments, flipped], key)).toEqual(
      combineCommitments([initial.commitments, commitments], key),
    );
  });

  test('the weighted check finds two errors that cancel in a plain sum', () => {
    const other = randomCoefficients(parameters, random);
    const second = {
      ...check,
      commitments: deal({ key, parameters, coefficients: other }),
      subShare: subShare(other, 5),
    };
    const weights = [bytesToInteger(random(16)), bytesToInteger(random(16))];
    expect(checkSubSharesTogether([check, second], weights)).toBe(true);
    const cancelling = [
      { ...check, subShare: check.subShare + 12345n },
      { ...second, subShare: second.subShare - 12345n },
    ];
    expect(checkSubSharesTogether(cancelling, [1n, 1n])).toBe(true);
    expect(checkSubSharesTogether(cancelling, weights)).toBe(false);
    expect(checkSubSharesTogether([check, { ...second, subShare: -second.subShare }], weights)).toBe(false);
    expect(checkSubSharesTogether([], [])).toBe(true);
  });
});

describe('refresh and recovery', () => {
  test('after refreshes the shares are those of the naive sum of polynomials and fit the new verification keys', () => {
    const dealt = Array.from({ length: 5 }, () => randomCoefficients(parameters, random));
    const sharing = refreshed(refreshed(initial, dealt.slice(0, 3)), dealt.slice(3));
    const sum = creation.coefficients.map((c, m) => dealt.reduce((total, list) => total + list[m]!, c));
    for (const [index, share] of sharing.shares) {
      expect(share).toBe(naiveValue(sum, index));
      expect(verificationKey(key, sharing.commitments, index)).toBe(
        fold(modPow(key.base, share, key.modulus), key.modulus),
      );
      expect(checkShare({ ...sharing, index, share })).toBe(true);
      expect(checkShare({ ...sharing, index, share: share + 1n })).toBe(false);
      expect(checkShare({ ...sharing, index, share: initial.shares.get(index)! })).toBe(false);
    }
  });

  test('a share beyond the bound is refused although its equation holds; a negative one within it is not', () => {
    const { commitments } = initial;
    const order = (p - 1n) * (q - 1n);
    const share = initial.shares.get(4)!;
    expect(
      checkShare({ key, parameters, commitments, index: 4, share: share + shareBound(parameters) * order }),
    ).toBe(false);
    expect(checkShare({ key, parameters, commitments, index: 4, share: (share % order) - order })).toBe(true);
  });

  test('a raised k lengthens the polynomial, and the key stays', () => {
    const raised = { ...parameters, threshold: 5 };
    const sharing = refreshed({ ...refreshTimes(1), parameters: raised }, [
      randomCoefficients(raised, random),
    ]);
    expect(sharing.commitments).toHaveLength(4);
    for (const [index, share] of sharing.shares) expect(checkShare({ ...sharing, index, share })).toBe(true);
    const five = new Map([...sharing.shares].slice(0, 5));
    expect(interpolate(five, 0, 8)).toBe(creation.secretConstant);
    // Three shares no longer tell it: they give another integer, or none.
    let guess: bigint | null = null;
    try {
      guess = interpolate(new Map([...sharing.shares].slice(0, 3)), 0, 8);
    } catch (error) {
      expect(error).toBeInstanceOf(ArithmeticError);
    }
    expect(guess).not.toBe(creation.secretConstant);
  });

  test('Lagrange coefficients are exact for every set of indices and every place', () => {
    for (const set of subsetsOf([1, 2, 3, 4, 5, 6, 7, 8], 3))
      for (const at of [0, 3, 8]) {
        const value = (x: number): bigint => 5n - 7n * BigInt(x) + 11n * BigInt(x) ** 2n;
        expect(interpolate(new Map(set.map((i) => [i, value(i)])), at, 8)).toBe(value(at));
      }
    for (const bad of [
      [1, 1],
      [0, 1],
      [1, 9],
      [1, 1.5],
    ])
      expect(() => lagrangeAt(bad, 0, 8)).toThrow(ArithmeticError);
    expect(() =>
      interpolate(
        new Map([
          [1, 0n],
          [8, 1n],
        ]),
        0,
        8,
      ),
    ).toThrow(ArithmeticError);
  });

  test('a lost share is recovered through masks with root r, which hide the helpers, and false sums are refused', () => {
    const sharing = refreshTimes(2);
    const lost = 4;
    const helpers = [8, 1, 5];
    const masks = helpers.map(() => randomCoefficients(parameters, random));
    const lists = masks.map((coefficients) => deal({ key, parameters, coefficients }));
    const sums = new Map<number, bigint>();
    for (const index of helpers) {
      const subShares = masks.map((coefficients) => subShare(coefficients, index));
      const sum = applyDealings({ share: sharing.shares.get(index)!, index, root: lost, subShares });
      sums.set(index, sum);
      const check = { ...sharing, masks: lists, index, root: lost, sum };
      expect(checkMaskedShare(check)).toBe(true);
      expect(checkMaskedShare({ ...check, sum: sum + 1n })).toBe(false);
      expect(checkMaskedShare({ ...check, masks: lists.slice(1) })).toBe(false);
      expect(checkMaskedShare({ ...check, root: 2 })).toBe(false);
      // The equation alone holds for this one: only the bound refuses it.
      const order = (p - 1n) * (q - 1n);
      expect(checkMaskedShare({ ...check, sum: sum + order * shareBound(parameters) })).toBe(false);
      expect(sum).not.toBe(sharing.shares.get(index));
    }
    expect(sums.get(1)).toBeLessThan(0n);
    const recovered = interpolate(sums, lost, 8);
    expect(recovered).toBe(sharing.shares.get(lost));
    expect(checkShare({ ...sharing, index: lost, share: recovered })).toBe(true);
  });

  test('sums of one run for four choices give away the secret, for one choice nothing: why helpers accept one (protocol §5.2)', () => {
    const { shares } = refreshTimes(1);
    const [recovering, accomplice] = [8, 7]; // t = 2
    const masks = new Map([1, 2, 4, 5, 7].map((index) => [index, randomCoefficients(parameters, random)]));
    /** What both know at 0 of the polynomial behind an honest helper's sum, less the accomplice's own mask. */
    const learn = (helper: number, choice: readonly number[]): bigint => {
      const sumAt = (index: number) => {
        const subShares = choice.map((dealer) => subShare(masks.get(dealer)!, index));
        return applyDealings({ share: shares.get(index)!, index, root: recovering, subShares });
      };
      const known = [recovering, accomplice, helper].map((index) => [index, sumAt(index)] as const);
      const own = choice.includes(accomplice) ? -BigInt(recovering) * masks.get(accomplice)![0]! : 0n;
      return interpolate(new Map(known), 0, 8) - own;
    };
    const secret = interpolate(new Map([...shares].slice(0, 3)), 0, 8);
    const [one, two, three, four] = [
      learn(1, [1, 2, accomplice]),
      learn(2, [1, 2, 4]),
      learn(4, [4, 5, accomplice]),
      learn(5, [1, 2, 5]),
    ] as [bigint, bigint, bigint, bigint];
    expect(2n * one + three - two - four).toBe(secret);
    // Of one choice every helper tells the same number, and honest masks hide the secret in it.
    const told = [1, 2, 4].map((helper) => learn(helper, [1, 2, 4]));
    expect(new Set(told).size).toBe(1);
    expect(told[0]).not.toBe(secret);
  });

  test('a dealing adds nothing at its root', () => {
    const commitments = deal({ key, parameters, coefficients: randomCoefficients(parameters, random) });
    expect(dealingImage({ key, commitments, at: 5, root: 5 })).toBe(1n);
    expect(isUnit(dealingImage({ key, commitments, at: 2, root: 5 }), key.modulus)).toBe(true);
  });

  test('any k shares after any number of refreshes interpolate to the same secret', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.shuffledSubarray(members, { minLength: 3, maxLength: 3 }),
        (epochs, chosen) => {
          const sharing = refreshTimes(epochs, 3);
          const values = new Map(chosen.map((i) => [i, sharing.shares.get(i)!]));
          expect(interpolate(values, 0, 8)).toBe(creation.secretConstant);
        },
      ),
      { numRuns: 15 },
    );
  });
});
