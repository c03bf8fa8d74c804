/**
 * A group that keeps keys of two kinds, RSA and one that only tests know. Whatever the core, the jobs and the driver do
 * for both, they do without knowing what a key is.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { learnKind } from '../../src/keys/kinds.ts';
import { headKeys, headOf, holdsShare, selfIn } from '../../src/protocol/machine/queries.ts';
import { sharedKeyOf } from '../../src/protocol/machine/shared-keys.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { toy, toyKey } from '../keys/toy-kind.ts';
import { fivePeers } from './support.ts';

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
