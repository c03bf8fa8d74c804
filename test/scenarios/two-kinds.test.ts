/**
 * A group that keeps keys of two kinds, RSA and one that only tests know. Whatever the core, the jobs and the driver do
 * for both, they do without knowing what a key is.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { bytesToInteger, integerToBytes } from '../../src/crypto/integers.ts';
import { learnKind } from '../../src/keys/kinds.ts';
import type { DealtPart } from '../../src/protocol/machine/io.ts';
import { headKeys, headOf, holdsShare, selfIn } from '../../src/protocol/machine/queries.ts';
import { sharedKeyOf } from '../../src/protocol/machine/shared-keys.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { keyIdOf } from '../../src/protocol/records/draft-actions.ts';
import type { KeyRecord } from '../../src/protocol/records/value.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { toy, toyKey } from '../../src/simulation/world/toy-kind.ts';
import { fivePeers, linkOf } from './support.ts';

beforeAll(() => learnKind(toy));

async function twoKinds(): Promise<Group> {
  const group = await fivePeers();
  const { threshold } = headOf(group.state(1));
  await group.giveKey('toy', 1, group.newKeyOf('toy', toyKey({ threshold, randomBytes: group.random })));
  return group;
}

/** Every member's shares of the newest epoch, by key: each fits what everybody can compute of it. */
function sharesOf(group: Group, places: readonly number[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const place of places) {
    const state = group.state(place);
    expect(holdsShare(state), `p${place}`).toBe(true);
    for (const { id, setting, commitments } of headKeys(state)) {
      const share = state.durable.shares[headOf(state).epoch]?.[id] as Uint8Array;
      const index = selfIn(state)?.index as number;
      expect(
        sharedKeyOf(setting).checkShare(commitments, index, share),
        `${setting.key.name} of p${place}`,
      ).toBe(true);
      const all = found.get(setting.key.name) ?? [];
      found.set(setting.key.name, [...all, Buffer.from(share).toString('hex')]);
    }
  }
  return found;
}

const everybody = [1, 2, 3, 4, 5];
const publicKeys = (group: Group) =>
  headOf(group.state(1)).keys.map(({ kind, public: bytes }) => [kind, Buffer.from(bytes).toString('hex')]);

describe('a group with keys of two kinds', () => {
  test('refreshes both in one change: all shares change, no key does, and both trials are in one proof', async () => {
    const group = await twoKinds();
    const [keys, before] = [publicKeys(group), sharesOf(group, everybody)];
    expect(keys.map(([kind]) => kind)).toEqual(['rsa', 'toy']);
    const epoch = await group.refresh(2);
    const after = sharesOf(group, everybody);
    for (const [name, shares] of before)
      for (const share of shares) expect(after.get(name)).not.toContain(share);
    expect(publicKeys(group)).toEqual(keys);
    for (const place of everybody) {
      const proof = group.state(place).durable.retires[epoch];
      expect(proof?.proofs).toHaveLength(2);
      // The toy kind's proof is of each listed member, one after the other.
      expect(proof?.proofs[1]).toHaveLength(64 * (proof?.readys.length ?? 0));
    }
  });

  test('gives a member that was away its shares of both back', async () => {
    const group = await twoKinds();
    await group.stop(5);
    await group.refresh(1);
    await group.refresh(2);
    await group.restart(5);
    await group.until(() => holdsShare(group.state(5)), 30_000, 'the recovery');
    sharesOf(group, everybody);
  });

  test('raises the threshold of both, lets members go, and destroys one without the other', async () => {
    const group = await twoKinds();
    await group.order(1, { type: 'raise-threshold', threshold: 4 });
    await group.until(() => headOf(group.state(1)).threshold === 4 && group.settledAt(group.epochOf(1)));
    sharesOf(group, everybody);
    await group.evict(1, 5);
    await group.stop(5);
    await group.until(() => group.settledAt(group.epochOf(1)));
    sharesOf(group, [1, 2, 3, 4]);
    const epoch = group.epochOf(1);
    await group.order(1, { type: 'destroy-key', name: 'key' });
    await group.until(() => group.settledAt(epoch + 1));
    expect([...sharesOf(group, [1, 2, 3, 4]).keys()]).toEqual(['toy']);
    await group.refresh(3);
    sharesOf(group, [1, 2, 3, 4]);
  });

  test('takes no key twice, and none of a kind that nobody knows', async () => {
    const group = await twoKinds();
    const { threshold } = headOf(group.state(1));
    const again = group.newKeyOf('again', {
      ...toyKey({ threshold, randomBytes: group.random }),
      public: headOf(group.state(1)).keys[1]?.public as Uint8Array,
    });
    await expect(group.order(1, again.action)).rejects.toThrow('key toy is this very key');
    const { action } = group.newKey('odd', 1, samplePrimes(512, 2));
    await expect(group.order(1, { ...action, kind: 'odd' })).rejects.toThrow(
      'keys of kind odd are not known',
    );
  });
});

/** The members create a key of the toy kind together; at all of them in the end. */
async function created(group: Group, name = 'joint'): Promise<KeyRecord> {
  const next = group.epochOf(1) + 1;
  await group.order(1, { type: 'create-key-jointly', name, kind: 'toy', use: 'sign' });
  await group.until(() => group.settledAt(next), 120_000, `the creation of ${name}`);
  return headOf(group.state(1)).keys.find((key) => key.name === name) as KeyRecord;
}

describe('a key that the members create together', () => {
  test('is one key with a share for each, which nobody knows, and is refreshed with the rest', async () => {
    const group = await fivePeers();
    const key = await created(group);
    expect(key.creation).not.toBeNull();
    expect(hex(key.id)).not.toBe(hex(key.creation as Uint8Array));
    expect(key.id).toEqual(keyIdOf(group.state(1).clusterId, key));
    const before = sharesOf(group, everybody);
    // No member dealt the key: it is the sum of what at least k of them dealt.
    const { value } = linkOf(group.state(1), group.epochOf(1));
    const dealers = value.accepted.map(({ dealer }) => dealer);
    expect(dealers).not.toContain(0);
    expect(dealers.length).toBeGreaterThanOrEqual(3);
    const epoch = await group.refresh(3);
    expect(headOf(group.state(2)).keys.at(-1)).toEqual(key);
    const after = sharesOf(group, everybody);
    for (const share of before.get('joint') ?? []) expect(after.get('joint')).not.toContain(share);
    expect(group.state(4).durable.retires[epoch]?.proofs).toHaveLength(2);
  });

  test('can be the first of a group, and can be created while the threshold is raised', async () => {
    const group = await fivePeers({ key: false });
    const next = group.epochOf(1) + 1;
    await group.order(
      1,
      { type: 'create-key-jointly', name: 'first', kind: 'toy', use: 'sign' },
      { type: 'raise-threshold', threshold: 4 },
    );
    await group.until(() => group.settledAt(next));
    expect(headOf(group.state(1)).threshold).toBe(4);
    expect([...sharesOf(group, everybody).keys()]).toEqual(['first']);
  });

  test('is dealt for by everybody, also by members whose gate is closed', async () => {
    const group = await fivePeers({ gate: 0.999 });
    await created(group);
    const { value } = linkOf(group.state(1), group.epochOf(1));
    expect(value.accepted.length).toBeGreaterThanOrEqual(3);
    expect(value.accepted.length).toBe(5);
  });

  test('a member that was away while it was created recovers its share', async () => {
    const group = await fivePeers();
    await group.stop(5);
    await created(group);
    await group.restart(5);
    await group.until(() => holdsShare(group.state(5)), 30_000, 'the recovery');
    sharesOf(group, everybody);
  });

  // Each is told to everybody, sealed and signed as if it were true.
  test.each<[string, (part: DealtPart) => DealtPart]>([
    ['without a proof of possession', (part) => ({ ...part, possession: null })],
    [
      'with a false proof',
      (part) => ({ ...part, possession: (part.possession ?? new Uint8Array()).map((byte) => byte ^ 1) }),
    ],
    ['with a proof of another length', (part) => ({ ...part, possession: new Uint8Array(63) })],
    [
      'with another constant term than it proves',
      (part) => withCommitments(part, ([, second, ...rest]) => [second, second, ...rest]),
    ],
    [
      'whose constant term everybody knows',
      (part) => withCommitments(part, ([first, ...rest]) => [identity(first), ...rest]),
    ],
    ['with too few commitments', (part) => withCommitments(part, (all) => all.slice(1))],
    ['with too many commitments', (part) => withCommitments(part, (all) => [...all, all[1]])],
    [
      'with a commitment outside the group',
      (part) => withCommitments(part, ([first, second, ...rest]) => [first, outside(second), ...rest]),
    ],
    [
      'with false numbers',
      ({ coefficients: [first, ...rest], ...part }) => ({
        ...part,
        coefficients: [...rest, first as Uint8Array],
      }),
    ],
  ])('is made without the part of a member %s', async (_, bend) => {
    let bent = 0;
    const group = await fivePeers({
      afterJob: (node, result) => {
        if (node !== 'p2' || result.kind !== 'deal' || result.parts.length < 2) return result;
        bent += 1;
        return { ...result, parts: result.parts.map((part, at) => (at === 1 ? bend(part) : part)) };
      },
    });
    const key = await created(group);
    expect(bent).toBe(1);
    const { value } = linkOf(group.state(1), group.epochOf(1));
    expect(value.accepted.map(({ dealer }) => dealer)).not.toContain(2);
    expect(key.public).toHaveLength(32);
    sharesOf(group, everybody);
  });

  test('needs a kind whose keys can be created so, and a name that is free', async () => {
    const group = await fivePeers();
    const order = (name: string, kind: string) =>
      group.order(1, { type: 'create-key-jointly', name, kind, use: 'sign' });
    await expect(order('other', 'rsa')).rejects.toThrow('keys of kind rsa need a dealer');
    await expect(order('other', 'odd')).rejects.toThrow('keys of kind odd are not known');
    await expect(order('key', 'toy')).rejects.toThrow('a key named key exists already');
  });
});

const withCommitments = (
  part: DealtPart,
  change: (commitments: Uint8Array[]) => Array<Uint8Array | undefined>,
): DealtPart => ({ ...part, commitments: change(part.commitments) as Uint8Array[] });

const identity = (element: Uint8Array | undefined): Uint8Array =>
  Uint8Array.from({ length: element?.length ?? 0 }, (_, at) => (at === (element?.length ?? 0) - 1 ? 1 : 0));

/** The other root: of the two numbers ±x modulo p one is a square and one is none. */
const outside = (element: Uint8Array | undefined): Uint8Array =>
  integerToBytes(samplePrimes(512).p - bytesToInteger(element ?? new Uint8Array()), 32);
