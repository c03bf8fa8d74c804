/** What happens when nothing goes wrong: a key is created, shares are replaced, and old ones are erased. */
import { expect, test } from 'vitest';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { dealersOf, fivePeers, linkOf, roundOf, verificationKeysOf } from './support.ts';
import { Transcript } from './transcript.ts';

test('a key is created by an order and its dealing, and everyone holds a share that signs', async () => {
  const group = await fivePeers({ key: false });
  const transcript = new Transcript(group, 'the operator creates a key through p1');
  await group.createKey('home-ca');
  const link = linkOf(group.state(1), 1);
  expect(link.value.keys.map(({ name }) => name)).toEqual(['home-ca']);
  expect(dealersOf(link)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(group.state(5).durable.retires[1]?.proofs).toHaveLength(1);
  transcript.expectGolden('key-creation');
});

test('a refresh replaces every share and every verification key in one round, and the public key stays', async () => {
  const group = await fivePeers();
  const before = linkOf(group.state(1), 1);
  const transcript = new Transcript(group, 'p1 starts a refresh');
  await group.refresh(1);
  const after = linkOf(group.state(1), 2);
  expect(roundOf(after)).toBe(0);
  expect(after.value.keys).toEqual(before.value.keys);
  const old = verificationKeysOf(before);
  expect(verificationKeysOf(after).every((key, at) => key !== old[at])).toBe(true);
  for (const index of [1, 2, 3, 4, 5]) expect(Object.keys(group.state(index).durable.shares)).toEqual(['2']);
  transcript.expectGolden('refresh');
});

test('an old share goes only with a retire proof in hand, and stragglers have a short grace', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p5 is cut off once the new epoch is decided, and comes back');
  group.node(1).driver?.refresh();
  await group.until(() => group.epochOf(5) === 2);
  group.network.partition([[1, 2, 3, 4].map((index) => group.node(index).peer), [group.node(5).peer]]);
  transcript.note('p5 is cut off');
  await group.until(() => [1, 2, 3, 4].every((index) => group.state(index).durable.own.retired === 2));
  expect(Object.keys(group.state(5).durable.shares).sort()).toEqual(['1', '2']);
  expect(group.state(5).durable.retires[2]).toBeUndefined();
  group.network.heal();
  transcript.note('p5 is back');
  await group.until(() => group.settledAt(2));
  expect(Object.keys(group.state(5).durable.shares)).toEqual(['2']);

  for (const node of group.nodes) {
    let proven = false;
    for (const output of node.outputs) {
      if (output.type !== 'persist') continue;
      proven ||= output.puts.some(([key]) => /^chain\/0*2\Wretire$/.test(key));
      if (output.deletes.includes('shares/1')) expect(proven).toBe(true);
    }
    expect(proven).toBe(true);
    expect([...node.home.records.keys()].filter((key) => key.startsWith('shares/'))).toEqual(['shares/2']);
  }
  expect(headOf(group.state(5)).epoch).toBe(2);
  transcript.expectGolden('retire');
});
