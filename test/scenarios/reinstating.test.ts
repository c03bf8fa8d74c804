/** §5 "Reinstating": one order gives a member its place again, with its index, a new identity and new keys. */

import { expect, test } from 'vitest';
import { headOf, holdsShare, selfIn } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { groupWithKey } from '../../src/simulation/world/group.ts';
import { contradict } from './support.ts';

test('a suspended member is reinstated by one order: its index and name stay, its share comes by itself', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  group.node(1).driver?.refresh();
  await contradict(group, 5);
  await group.until(() => [1, 2, 3, 4, 5].every((place) => group.epochOf(place) === 2));
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);
  const before = selfIn(group.state(5))!;

  // Its old daemon still runs: it learns that it is out, and erases what it held.
  const old = group.node(5);
  const order = group.reinstate(1, 5).catch((error: unknown) => error);
  await group.until(() => selfIn(group.state(5)) === undefined, 60_000, 'the news at the old home');
  expect(old.driver?.state.durable.shares).toEqual({});
  expect(old.driver?.state.durable.epochSecrets).toEqual({});
  await group.stop(5);
  const place = await order;
  expect(place).toBe(6);

  const self = selfIn(group.state(6))!;
  expect(self).toMatchObject({ index: 5, name: 'p5', peer: 'peer-0006' });
  expect(hex(self.epochKey)).not.toBe(hex(before.epochKey));
  expect(headOf(group.state(1)).suspended).toEqual([]);
  expect(holdsShare(group.state(6))).toBe(true);
  await group.refresh(6);
  expect(headOf(group.state(1)).accepted.map(({ dealer }) => dealer)).toContain(5);
  await group.stopAll();
});

test('a lost member of a 3-of-5 group is reinstated in one change, although four stay', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  await group.stop(2);
  const epoch = group.epochOf(1);
  const place = await group.reinstate(1, 2);
  expect(group.epochOf(1)).toBe(epoch + 1);
  expect(selfIn(group.state(place))).toMatchObject({ index: 2, name: 'p2' });
  // The old machine is found again: nobody lets it in.
  await group.run(10_000);
  await group.restart(2);
  await group.run(5_000);
  expect(group.epochOf(2)).toBe(epoch);
  expect(Object.keys(group.state(2).volatile.authenticated)).toEqual([]);
  await group.stop(2);
  await group.refresh(place);
  await group.stopAll();
});

test('an order to reinstate nobody, or somebody who is a member already, is refused', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  const epochKey = group.random(32);
  await expect(group.order(1, { type: 'reinstate', index: 7, peer: 'peer-0099', epochKey })).rejects.toThrow(
    'there is no member with index 7',
  );
  await expect(group.order(1, { type: 'reinstate', index: 3, peer: 'peer-0003', epochKey })).rejects.toThrow(
    'comes back with a new home',
  );
  expect(group.state(1).durable.orders).toEqual({});
  await group.stopAll();
});
