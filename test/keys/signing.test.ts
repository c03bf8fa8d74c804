import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArithmeticError, EncodingError } from '../../src/crypto/errors.ts';
import { modInverse } from '../../src/crypto/integers.ts';
import { createKeyFromPrimes } from '../../src/keys/rsa/creation.ts';
import { encodePkcs1, encodePss } from '../../src/keys/rsa/encoding.ts';
import {
  combine,
  combineRobust,
  decodeProof,
  encodeProof,
  nonceBytes,
  partial,
  prove,
  verifyProof,
} from '../../src/keys/rsa/signing.ts';
import {
  naivePow,
  randomCoefficients,
  refreshed,
  type Sharing,
  sampleCreation,
  samplePrimes,
  sharingOf,
  subsetsOf,
} from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const parameters = { membersMax: 8, threshold: 3, modulusBits: 512 } as const;
const { p, q } = samplePrimes(512);
const key = sampleCreation(parameters).public;
const members = [1, 2, 4, 5, 7, 8];
const random = seededBytes('signing');
const refreshOnce = (sharing: Sharing): Sharing =>
  refreshed(sharing, [randomCoefficients(parameters, random), randomCoefficients(parameters, random)]);
const epochs = [sharingOf(sampleCreation(parameters), parameters, members)];
for (let epoch = 1; epoch <= 6; epoch++) epochs.push(refreshOnce(epochs[epoch - 1]!));

const digest = createHash('sha256').update('holdfast').digest();
const block = encodePkcs1('sha256', digest, 512);
const d = modInverse(65537n, (p - 1n) * (q - 1n));
const expected = naivePow(block, d, key.modulus);

const partialOf = (epoch: number, index: number, of = block): bigint =>
  partial({ key, parameters, share: epochs[epoch]!.shares.get(index)!, block: of, blinding });
const combineOf = (entries: ReadonlyArray<readonly [epoch: number, index: number]>): bigint | null => {
  const partials = new Map(entries.map(([epoch, index]) => [index, partialOf(epoch, index)]));
  return combine({ key, parameters, block, partials });
};

const importedSharing = (p: bigint, q: bigint): Sharing => {
  const creation = createKeyFromPrimes({ p, q, e: 65537n, parameters, randomBytes: random });
  return sharingOf(creation, parameters, members);
};

/** 1 mod q and of order 11 mod p. */
const elementOfOrder11 = (p: bigint, q: bigint): bigint => {
  let root = 1n;
  for (let g = 2n; root === 1n; g++) root = naivePow(g, (p - 1n) / 11n, p);
  return (root * q * modInverse(q, p) + p * modInverse(p, q)) % (p * q);
};

describe('threshold signing (Shoup 2000)', () => {
  test('any k peers, in any order and after any number of refreshes, make the signature that d makes', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: epochs.length - 1 }),
        fc.shuffledSubarray(members, { minLength: 3, maxLength: 3 }),
        fc.bigInt({ min: 2n, max: key.modulus - 2n }),
        (epoch, chosen, x) => {
          fc.pre(x % p !== 0n && x % q !== 0n);
          const partials = new Map(chosen.map((i) => [i, partialOf(epoch, i, x)]));
          expect(combine({ key, parameters, block: x, partials })).toBe(naivePow(x, d, key.modulus));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a PKCS#1 signature is the same before and after refreshes, for every set of k', () => {
    for (const set of subsetsOf(members, 3)) {
      expect(combineOf(set.map((i) => [0, i]))).toBe(expected);
      expect(combineOf(set.map((i) => [6, i]))).toBe(expected);
    }
  });

  test('every set of k that mixes shares of two epochs fails', () => {
    for (const set of subsetsOf(members, 3))
      for (const old of [
        [true, false, false],
        [true, true, false],
        [false, true, false],
      ])
        expect(combineOf(set.map((i, position) => [old[position] ? 5 : 6, i]))).toBeNull();
  });

  test('negative shares sign too', () => {
    const negative = (share: bigint): bigint => {
      const order = (p - 1n) * (q - 1n);
      return share - (share / order + 1n) * order;
    };
    const partials = new Map(
      [2, 5, 8].map((i) => [
        i,
        partial({ key, parameters, share: negative(epochs[3]!.shares.get(i)!), block, blinding }),
      ]),
    );
    expect(combine({ key, parameters, block, partials })).toBe(expected);
  });

  test('a partial with its sign flipped is harmless', () => {
    const partials = new Map([1, 4, 7].map((i) => [i, key.modulus - partialOf(2, i)]));
    expect(combine({ key, parameters, block, partials })).toBe(expected);
  });

  test('false partials, also zero, non-units and numbers out of range, give no signature and no exception', () => {
    for (const value of [0n, 1n, p, key.modulus, -5n, key.modulus + partialOf(2, 1)]) {
      const partials = new Map([
        [1, value],
        [4, partialOf(2, 4)],
        [7, partialOf(2, 7)],
      ] as const);
      expect(combine({ key, parameters, block, partials })).toBeNull();
    }
  });

  test('a block that is no unit is refused before a share touches it', () => {
    for (const bad of [0n, p, q, key.modulus])
      expect(() => partial({ key, parameters, share: 5n, block: bad, blinding })).toThrow(ArithmeticError);
  });

  test('PSS blocks are signed the same way', () => {
    const x = encodePss('sha256', digest, random(20), 512);
    const partials = new Map([8, 2, 4].map((i) => [i, partialOf(4, i, x)]));
    expect(combine({ key, parameters, block: x, partials })).toBe(naivePow(x, d, key.modulus));
  });
});

describe('proofs of partials', () => {
  const epoch = 3;
  const { commitments } = epochs[epoch]!;
  const context = new TextEncoder().encode('key 1, epoch 3');
  const proofOf = (index: number, share = epochs[epoch]!.shares.get(index)!) => {
    const value = partial({ key, parameters, share, block, blinding });
    const nonce = random(nonceBytes(parameters));
    const proof = prove({
      key,
      parameters,
      share,
      index,
      block,
      partial: value,
      nonceBytes: nonce,
      context,
      blinding,
    });
    return { partial: value, proof };
  };
  const statement = { key, parameters, commitments, index: 5, block, context, ...proofOf(5) };

  test('true proofs are accepted, also of negative shares, and survive their encoding', () => {
    for (const index of members) expect(verifyProof({ ...statement, index, ...proofOf(index) })).toBe(true);
    const order = (p - 1n) * (q - 1n);
    const share = epochs[epoch]!.shares.get(5)!;
    const negative = proofOf(5, share - (share / order + 1n) * order);
    expect(verifyProof({ ...statement, ...negative })).toBe(true);
    expect(decodeProof(encodeProof(statement.proof))).toEqual(statement.proof);
    expect(() => decodeProof(new Uint8Array(32))).toThrow(EncodingError);
  });

  test('every single altered value is refused', () => {
    const { proof } = statement;
    const otherBlock = encodePkcs1('sha256', createHash('sha256').update('other').digest(), 512);
    const altered: Partial<typeof statement>[] = [
      { index: 4 },
      { block: otherBlock },
      { context: new TextEncoder().encode('key 1, epoch 4') },
      { commitments: epochs[epoch + 1]!.commitments },
      { partial: partialOf(epoch, 4) },
      { partial: partialOf(epoch + 1, 5) },
      { partial: key.modulus - statement.partial },
      { partial: 0n },
      { partial: p },
      { proof: { ...proof, challenge: proof.challenge ^ 1n } },
      { proof: { ...proof, challenge: -proof.challenge } },
      { proof: { ...proof, challenge: proof.challenge + 2n ** 256n } },
      { proof: { ...proof, response: proof.response + 1n } },
      { proof: { ...proof, response: -proof.response } },
      { proof: { ...proof, response: proof.response + (p - 1n) * (q - 1n) * 2n ** 1500n } },
      { key: { ...key, exponent: 65539n } },
      { key: { ...key, base: key.base + 1n } },
      { key: { ...key, constant: key.constant + 1n } },
    ];
    expect(verifyProof(statement)).toBe(true);
    for (const change of altered) expect(verifyProof({ ...statement, ...change })).toBe(false);
  });

  test('liars are named and left out, and the signature is made without them', () => {
    const partials = new Map(members.map((i) => [i, proofOf(i)] as const));
    const request = { key, parameters, commitments, block, partials, context };
    expect(combineRobust(request)).toEqual({ signature: expected, culprits: [], suspects: [] });
    const lies = new Map<number, { partial: bigint; proof: ReturnType<typeof proofOf>['proof'] | null }>(
      partials,
    )
      .set(1, { ...partials.get(1)!, partial: partialOf(epoch - 1, 1) })
      .set(2, { partial: 12345n, proof: null })
      .set(7, proofOf(7, 999n));
    expect(combineRobust({ ...request, partials: lies })).toEqual({
      signature: expected,
      culprits: [1, 2, 7],
      suspects: [],
    });
    lies.set(8, { partial: 1n, proof: partials.get(8)!.proof });
    expect(combineRobust({ ...request, partials: lies })).toEqual({
      signature: null,
      culprits: [1, 2, 7, 8],
      suspects: [],
    });
  });

  test('where an element of small order is known, a proof can lie, and other sets name the suspect', () => {
    // Not an element of order 2, 3, 5 or 7: the factor Δ in every λ_i makes those harmless. So an imported key with a
    // prime p = 1 mod 11, and a liar who knows an element of order 11.
    const q11 = samplePrimes(512).q;
    let p11 = samplePrimes(512, 2).p;
    while (p11 % 11n !== 1n || naivePow(2n, p11 - 1n, p11) !== 1n) p11 += 2n;
    const weak = importedSharing(p11, q11);
    const root = elementOfOrder11(p11, q11);
    const partials = new Map(
      members.map((index) => {
        const share = weak.shares.get(index)!;
        let value = partial({ key: weak.key, parameters, share, block, blinding });
        if (index === 2) value = (value * root) % weak.key.modulus;
        // The challenge is a multiple of 11 for every eleventh nonce.
        for (;;) {
          const nonce = random(nonceBytes(parameters));
          const made = { key: weak.key, parameters, index, block, partial: value, context };
          const proof = prove({ ...made, share, nonceBytes: nonce, blinding });
          if (verifyProof({ ...made, commitments: weak.commitments, proof }))
            return [index, { partial: value, proof }];
        }
      }),
    );
    const result = combineRobust({ ...weak, block, partials, context });
    expect(result.signature).not.toBeNull();
    expect(result.culprits).toEqual([]);
    expect(result.suspects).toEqual([2]);
  });
});
