/**
 * What every kind of key keeps to: one suite over the interface alone. A kind passes bytes that the suite
 * cannot read, so whatever the suite shows holds for the epoch change and recovery, which see no more of a
 * kind.
 */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Kind } from '../../src/keys/kind/kind.ts';
import type {
  Asked,
  GivenPartial,
  KeyUse,
  NonceCommitments,
  Operation,
} from '../../src/keys/kind/operation.ts';
import type { DealtKey, SharedKey } from '../../src/keys/kind/shared-key.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';

export interface KindSample {
  kind: Kind;
  membersMax: number;
  /** k of the sample. */
  threshold: number;
  /** A key that is shared by `threshold`. */
  dealt: DealtKey;
  /** Of another key of this kind. */
  otherPublic: Uint8Array;
  /** Two different things that may be asked of each operation, as a request in JSON says them. */
  asked: Partial<Record<KeyUse, [Record<string, string>, Record<string, string>]>>;
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
  const random = seededBytes(`kind ${kind.name}`);
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
      commitments: kind.combineCommitments(sample.dealt.public, lists) ?? [],
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

  for (const [use, operation] of Object.entries(kind.operations)) {
    const texts = sample.asked[use as KeyUse] as [Record<string, string>, Record<string, string>];
    describeOperation(use, operation, texts);
  }

  function describeOperation(
    use: string,
    operation: Operation,
    texts: readonly Record<string, string>[],
  ): void {
    const [asked, another] = texts.map((text) => operation.asked.parse(text)) as [Asked, Asked];
    const { commitments } = second;
    const publicBytes = sample.dealt.public;
    const about = (what = asked) => ({ setting: setting(), key: statement.key, epoch: 2, asked: what });

    /** What these members give, with fresh nonces where the operation needs them. */
    function given(
      indices: readonly number[],
      options: { prove?: boolean; what?: Asked; epoch?: Epoch } = {},
    ) {
      const { prove = false, what = asked, epoch = second } = options;
      const drawn = new Map(
        indices.flatMap((index) => {
          const context = random(32);
          const made = { setting: setting(), share: shareOf(epoch, index), context, randomBytes: random };
          const nonces = operation.nonces?.draw(made);
          return nonces === undefined ? [] : [[index, nonces] as const];
        }),
      );
      const session: NonceCommitments | null =
        operation.nonces && new Map([...drawn].map(([index, { commitment }]) => [index, commitment]));
      const partials = new Map<number, GivenPartial>();
      for (const index of indices) {
        const nonces = drawn.get(index)?.nonces;
        const own = nonces && session ? { nonces, commitments: session } : null;
        const made = { statement: about(what), share: shareOf(epoch, index), index, prove };
        partials.set(index, operation.partial({ ...made, randomBytes: random, session: own }));
      }
      return { partials, session };
    }
    const combined = (
      { partials, session }: ReturnType<typeof given>,
      failed: ReadonlyMap<number, GivenPartial> = new Map(),
    ) => operation.combine({ statement: about(), commitments, partials, failed, session });

    describe(`to ${use} with a key of kind ${kind.name}`, () => {
      test('takes what is asked in one shape, which is checked', () => {
        expect(() => operation.checkForm(asked)).not.toThrow();
        expect(() => operation.check({ publicBytes, asked, trial: statement })).not.toThrow();
        expect(operation.asked.encode(asked)).toEqual(texts[0]);
        for (const none of [{}, { ...texts[0], more: '' }, null, 'text'])
          expect(operation.asked.safeParse(none).success).toBe(false);
        expect(z.safeEncode(operation.asked, { ...asked, more: 'text' }).success).toBe(false);
      });

      test('says what an audit log tells of it, and by which scheme it is asked', () => {
        const { digest } = operation.digestOf(asked);
        expect(digest).toEqual(operation.digestOf(operation.asked.parse(texts[0])).digest);
        expect(digest).not.toEqual(operation.digestOf(another).digest);
        const scheme = operation.schemeOf(asked);
        if (scheme === null) expect(operation.schemes).toEqual([]);
        else expect(operation.schemes).toContain(scheme);
      });

      test.each([[[1, 2, 3]], [[1, 3, 5]], [[2, 4, 5]], [[3, 4, 5]]])('is done by members %j', (indices) => {
        const { result, culprits, suspects, refuted } = combined(given(indices));
        expect({ culprits, suspects, refuted }).toEqual({ culprits: [], suspects: [], refuted: [] });
        expect(operation.verify({ publicBytes, asked, result: result as Uint8Array })).toBe(true);
      });

      test('gives a result for this key and for what was asked, and for nothing else', () => {
        const result = combined(given([1, 2, 3])).result as Uint8Array;
        expect(operation.verify({ publicBytes: sample.otherPublic, asked, result })).toBe(false);
        expect(operation.verify({ publicBytes, asked: another, result })).toBe(false);
        for (const bytes of [
          flip(result, 0),
          flip(result, result.length - 1),
          result.slice(1),
          new Uint8Array(),
        ])
          expect(operation.verify({ publicBytes, asked, result: bytes })).toBe(false);
      });

      test('is not done by too few, nor by shares of two epochs', () => {
        expect(combined(given([1, 2])).result).toBeNull();
        const mixed = given([1, 2, 3]);
        const old = given([1, 2, 3], { epoch: first });
        mixed.partials.set(2, old.partials.get(2) as GivenPartial);
        expect(combined(mixed).result).toBeNull();
      });

      test.each<[string, (partial: Uint8Array) => Uint8Array]>([
        ['another byte', (partial) => flip(partial, partial.length - 1)],
        ['no bytes', () => new Uint8Array()],
        ['too many bytes', (partial) => Uint8Array.of(...partial, 0)],
        ['zero', (partial) => new Uint8Array(partial.length)],
        ['the highest number', (partial) => new Uint8Array(partial.length).fill(255)],
      ])('names the member whose partial has %s', (_, bend) => {
        const spoiled = given([1, 2, 3], { prove: true });
        const { partial, proof } = spoiled.partials.get(2) as GivenPartial;
        spoiled.partials.set(2, { partial: bend(partial), proof });
        expect(combined(spoiled)).toMatchObject({ result: null, culprits: [2] });
      });

      test('proves a partial of this request alone', () => {
        const spoiled = given([1, 2, 3], { prove: true });
        const other = given([1, 2, 3], { prove: true, what: another });
        spoiled.partials.set(3, other.partials.get(3) as GivenPartial);
        expect(combined(spoiled)).toMatchObject({ result: null, culprits: [3] });
      });

      const { nonces } = operation;
      if (nonces === null) return;

      test('draws other nonces each time, and tells commitments from other bytes', () => {
        const draw = () =>
          nonces.draw({
            setting: setting(),
            share: shareOf(second, 1),
            context: random(8),
            randomBytes: random,
          });
        const drawn = [draw(), draw(), draw()];
        expect(new Set(drawn.map(({ commitment }) => Buffer.from(commitment).toString('hex'))).size).toBe(3);
        for (const { commitment } of drawn) {
          expect(nonces.isCommitment(setting(), commitment)).toBe(true);
          for (const none of [commitment.slice(1), Uint8Array.of(...commitment, 0), new Uint8Array()])
            expect(nonces.isCommitment(setting(), none)).toBe(false);
          expect(nonces.isCommitment(setting(), new Uint8Array(commitment.length))).toBe(false);
        }
      });

      test('hedges its nonces: a broken source of randomness repeats none for another context or share', () => {
        const broken = (length: number) => new Uint8Array(length);
        const drawn = (index: number, context: number) =>
          nonces.draw({
            ...{ setting: setting(), share: shareOf(second, index), context: Uint8Array.of(context) },
            randomBytes: broken,
          }).commitment;
        expect(drawn(1, 1)).toEqual(drawn(1, 1));
        expect(drawn(1, 1)).not.toEqual(drawn(1, 2));
        expect(drawn(1, 1)).not.toEqual(drawn(2, 1));
      });

      test('gives no partial without a session, nor for commitments that are none', () => {
        const made = { statement: about(), share: shareOf(second, 1), index: 1, prove: false };
        const { session } = given([1, 2, 3]);
        const drawn = nonces.draw({
          ...{ setting: setting(), share: made.share, context: random(8), randomBytes: random },
        });
        expect(() => operation.partial({ ...made, randomBytes: random, session: null })).toThrow(/./);
        const bent = new Map([...(session as NonceCommitments), [2, new Uint8Array(3)] as const]);
        expect(() =>
          operation.partial({ ...made, randomBytes: random, session: { ...drawn, commitments: bent } }),
        ).toThrow(/./);
      });
    });
  }
}
