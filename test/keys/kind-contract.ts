/**
 * What every kind of key keeps to: one suite over the interface alone. A kind passes bytes that the suite cannot read,
 * so whatever the suite shows holds for the epoch change and recovery, which see no more of a kind.
 */
import { describe, expect, test } from 'vitest';
import type { DealtKey, Kind, SharedKey } from '../../src/keys/kind.ts';
import { bytesFrom } from '../../src/simulation/world/sample-keys.ts';

export interface KindSample {
  kind: Kind;
  membersMax: number;
  /** k of the sample. */
  threshold: number;
  /** A key that is shared by `threshold`. */
  dealt: DealtKey;
  /** Of another key of this kind. */
  otherPublic: Uint8Array;
}

const members = [1, 2, 3, 4, 5];
const flip = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, position) => (position === at ? byte ^ 1 : byte));

interface Epoch {
  commitments: Uint8Array[];
  shares: Map<number, Uint8Array>;
}

export function describeKind(sample: KindSample): void {
  const { kind, threshold, membersMax } = sample;
  const setting = (k = threshold) => ({ public: sample.dealt.public, threshold: k, membersMax });
  const key: SharedKey = kind.shared(setting());
  const random = bytesFrom(`kind ${kind.name}`);
  const first: Epoch = {
    commitments: sample.dealt.commitments,
    shares: new Map(members.map((index) => [index, sample.dealt.firstShare(index)])),
  };
  const shareOf = (epoch: Epoch, index: number): Uint8Array => epoch.shares.get(index) as Uint8Array;
  const dealing = (by: SharedKey = key) => {
    const coefficients = by.coefficientsFrom(random(by.coefficientBytes));
    return { coefficients, commitments: by.commit(coefficients) };
  };
  const dealt = ({ coefficients, commitments }: ReturnType<typeof dealing>, receiver: number) => ({
    commitments,
    subShare: key.subShare(coefficients, receiver),
  });

  /** One epoch change in which these dealings are accepted, under `by`. */
  function refreshed(epoch: Epoch, dealings: ReturnType<typeof dealing>[], by: SharedKey = key): Epoch {
    const lists = [epoch.commitments, ...dealings.map(({ commitments }) => commitments)];
    return {
      commitments: kind.combineCommitments(sample.dealt.public, lists),
      shares: new Map(
        [...epoch.shares].map(([index, share]) => {
          const subShares = dealings.map(({ coefficients }) => by.subShare(coefficients, index));
          return [index, by.applyDealings({ share, index, root: 0, subShares })];
        }),
      ),
    };
  }
  const second = refreshed(first, [dealing(), dealing(), dealing()]);
  const statement = { cluster: random(32), epoch: 2, value: random(32), key: random(32) };
  const trialOf = (epoch: Epoch, index: number, by = key) =>
    by.trial({ statement, index, share: shareOf(epoch, index), randomBytes: random });

  describe(`a key of kind ${kind.name}`, () => {
    test('has public values that are checked, and one encoding of them', () => {
      expect(() => kind.checkPublic(sample.dealt.public, membersMax)).not.toThrow();
      for (const bytes of [
        new Uint8Array(),
        sample.dealt.public.slice(1),
        Uint8Array.of(...sample.dealt.public, 0),
        random(sample.dealt.public.length),
      ])
        expect(() => kind.checkPublic(bytes, membersMax)).toThrow(/./);
    });

    test('is told from every other key', () => {
      expect(kind.identityOf(sample.dealt.public)).toEqual(
        kind.identityOf(Uint8Array.from(sample.dealt.public)),
      );
      expect(kind.identityOf(sample.dealt.public)).not.toEqual(kind.identityOf(sample.otherPublic));
    });

    test('has a first share for each member, which the member checks', () => {
      for (const index of members) {
        const check = { commitments: first.commitments, subShare: shareOf(first, index) };
        expect(key.checkFirstShare(check, index)).toBe(true);
        expect(key.checkShare(first.commitments, index, check.subShare)).toBe(true);
        expect(key.checkFirstShare(check, index + 1)).toBe(false);
        expect(key.checkFirstShare({ ...check, commitments: check.commitments.slice(1) }, index)).toBe(false);
      }
    });

    test('is refreshed: all shares change, each fits the new commitments, and none fits the old ones', () => {
      for (const index of members) {
        expect(shareOf(second, index)).not.toEqual(shareOf(first, index));
        expect(key.checkShare(second.commitments, index, shareOf(second, index))).toBe(true);
        expect(key.checkShare(first.commitments, index, shareOf(second, index))).toBe(false);
        expect(key.verificationKey(second.commitments, index)).not.toEqual(
          key.verificationKey(first.commitments, index),
        );
      }
    });

    test('gets its threshold raised by dealings of a higher degree', () => {
      const higher = kind.shared(setting(threshold + 1));
      const third = refreshed(second, [dealing(higher), dealing(higher)], higher);
      expect(third.commitments).toHaveLength(threshold);
      for (const index of members)
        expect(higher.checkShare(third.commitments, index, shareOf(third, index))).toBe(true);
      const at = members.slice(0, threshold);
      const some = new Map(at.map((index) => [index, shareOf(third, index)]));
      const found = key.interpolate(some, 5);
      expect(found === null || !higher.checkShare(third.commitments, 5, found)).toBe(true);
    });
  });

  describe(`a dealing of kind ${kind.name}`, () => {
    const several = [dealing(), dealing(), dealing()];
    const checks = several.map((one) => dealt(one, 2));

    test('counts when its number fits its commitments, and is named when it does not, also beside others', () => {
      expect(key.checkSubShares(checks, 2, random)).toEqual([true, true, true]);
      expect(key.checkSubShares(checks, 3, random)).toEqual([false, false, false]);
      const [one, two, three] = checks as [(typeof checks)[0], (typeof checks)[0], (typeof checks)[0]];
      const other = dealt(dealing(), 2).subShare;
      expect(key.checkSubShares([one, { ...two, subShare: other }, three], 2, random)).toEqual([
        true,
        false,
        true,
      ]);
    });

    test('has as many commitments as its degree asks for, each an element of the group', () => {
      const [{ commitments }] = several as [(typeof several)[0]];
      expect(key.isDealing(commitments)).toBe(true);
      expect(kind.areWellFormed(sample.dealt.public, commitments)).toBe(true);
      expect(key.isDealing(commitments.slice(1))).toBe(false);
      expect(key.isDealing([...commitments, commitments[0] as Uint8Array])).toBe(false);
      for (const none of [new Uint8Array(), new Uint8Array(commitments[0]?.length ?? 1)]) {
        expect(key.isDealing([none, ...commitments.slice(1)])).toBe(false);
        expect(key.checkSubShares([{ ...dealt(dealing(), 2), commitments: [none] }], 2, random)).toEqual([
          false,
        ]);
      }
      expect(kind.areWellFormed(sample.dealt.public, [random(1024)])).toBe(false);
    });

    test('travels in plaintexts of one length', () => {
      const packed = checks.map(({ subShare }) => key.pack(subShare));
      const share = key.pack(shareOf(second, 1));
      expect(new Set([...packed, share].map(({ length }) => length)).size).toBe(1);
      expect(key.unpack(share)).toEqual(shareOf(second, 1));
      expect(() => key.unpack(share.slice(1))).toThrow(/./);
      expect(() => key.unpack(new Uint8Array())).toThrow(/./);
    });
  });

  describe(`a recovery of kind ${kind.name}`, () => {
    const helpers = [1, 3, 4];
    const root = 2;
    const masks = [dealing(), dealing(), dealing()];
    const sumOf = (index: number): Uint8Array =>
      key.applyDealings({
        share: shareOf(second, index),
        index,
        root,
        subShares: masks.map(({ coefficients }) => key.subShare(coefficients, index)),
      });
    const check = {
      commitments: second.commitments,
      masks: masks.map(({ commitments }) => commitments),
      root,
    };

    test('gives the lost share from masked shares, each of which is checked', () => {
      for (const index of helpers) {
        expect(key.checkMaskedShare({ ...check, index, sum: sumOf(index) })).toBe(true);
        expect(key.checkMaskedShare({ ...check, index, sum: shareOf(second, index) })).toBe(false);
        expect(
          key.checkMaskedShare({ ...check, masks: check.masks.slice(1), index, sum: sumOf(index) }),
        ).toBe(false);
      }
      const sums = new Map(helpers.slice(0, threshold).map((index) => [index, sumOf(index)]));
      expect(key.interpolate(sums, root)).toEqual(shareOf(second, root));
    });
  });

  describe(`a trial of kind ${kind.name}`, () => {
    const trials = new Map([2, 3, 5].map((index) => [index, trialOf(second, index)]));
    const { commitments } = second;
    const combined = key.combineTrials({ statement, commitments, trials });
    const checked = { statement, commitments, members: [2, 3, 5] };

    test('of a quorum proves that the new shares are there', () => {
      expect(combined).toMatchObject({ culprits: [], suspects: [] });
      expect(key.checkTrialProof({ ...checked, proof: combined.proof as Uint8Array })).toBe(true);
    });

    test('proves nothing of another value, another key, or with another byte', () => {
      const proof = combined.proof as Uint8Array;
      for (const other of [
        { ...statement, value: random(32) },
        { ...statement, key: random(32) },
      ])
        expect(key.checkTrialProof({ ...checked, statement: other, proof })).toBe(false);
      for (const bytes of [flip(proof, 0), flip(proof, proof.length - 1), proof.slice(1), new Uint8Array()])
        expect(key.checkTrialProof({ ...checked, proof: bytes })).toBe(false);
    });

    test('names who gave a false one, and is combined without it', () => {
      for (const bend of [
        (trial: Uint8Array) => flip(trial, 4),
        () => new Uint8Array(),
        () => trialOf(first, 2),
      ]) {
        const mixed = new Map([...trials, [4, trialOf(second, 4)] as const]);
        mixed.set(2, bend(mixed.get(2) as Uint8Array));
        const result = key.combineTrials({ statement, commitments, trials: mixed });
        expect(result.culprits).toEqual([2]);
        mixed.delete(2);
        const { proof, culprits } = key.combineTrials({ statement, commitments, trials: mixed });
        expect(culprits).toEqual([]);
        const all = [...mixed.keys()];
        expect(key.checkTrialProof({ ...checked, members: all, proof: proof as Uint8Array })).toBe(true);
      }
    });

    test('of too few proves nothing', () => {
      const few = new Map([...trials].slice(0, threshold - 1));
      expect(key.combineTrials({ statement, commitments, trials: few }).proof).toBeNull();
    });
  });
}
