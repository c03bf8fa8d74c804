/** One group keeps many keys: one epoch change refreshes them all. */

import { expect, test } from 'vitest';
import { elementOf } from '../../src/keys/rsa/numbers.ts';
import { publicOf } from '../../src/keys/rsa/setting.ts';
import { verificationKey } from '../../src/keys/rsa/sharing.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { fivePeers, linkOf } from './support.ts';

/** The verification key of peer 1 for every key, by the key's name. */
function verificationKeys(state: CoreState, epoch: number): Map<string, bigint> {
  const { value, commitments } = linkOf(state, epoch);
  return new Map(
    value.keys.map((key, at) => [
      key.name,
      verificationKey(publicOf(key.public), (commitments[at] as Uint8Array[]).map(elementOf), 1),
    ]),
  );
}

test('twenty keys are refreshed by one epoch change, and every share of a destroyed one is gone with the next', async () => {
  const group = await fivePeers({ key: false, peers: 3, threshold: 2, membersMax: 3 });
  const names = Array.from({ length: 20 }, (_, at) => `key-${at + 1}`);
  // Of seven primes twenty pairs, because no modulus is two keys.
  const pairs = [1, 2, 3, 4, 5, 6].flatMap((first) =>
    Array.from({ length: first }, (_, second) => ({
      p: samplePrimes(512, first).p,
      q: samplePrimes(512, second).p,
    })),
  );
  for (const [at, name] of names.entries()) await group.createKey(name, 1, pairs[at]);
  const before = verificationKeys(group.state(1), 20);
  expect([...before.keys()]).toEqual(names);

  expect(await group.refresh(2)).toBe(21);
  const after = verificationKeys(group.state(1), 21);
  for (const [name, key] of before) expect(after.get(name)).not.toBe(key);
  for (const index of [1, 2, 3]) {
    const { shares, retires } = group.state(index).durable;
    expect(Object.keys(shares)).toEqual(['21']);
    expect(Object.keys(shares[21] ?? {})).toHaveLength(20);
    expect(retires[21]?.proofs).toHaveLength(20); // every one of them signed under the new shares
  }

  const destroyed = hex(linkOf(group.state(1), 21).value.keys[7]?.id as Uint8Array);
  await group.order(1, { type: 'destroy-key', name: 'key-8' });
  await group.until(() => group.settledAt(22));
  for (const index of [1, 2, 3]) {
    const { shares } = group.state(index).durable;
    expect(Object.keys(shares)).toEqual(['22']);
    expect(Object.keys(shares[22] ?? {})).toHaveLength(19);
    expect(shares[22]?.[destroyed]).toBeUndefined();
  }
});
