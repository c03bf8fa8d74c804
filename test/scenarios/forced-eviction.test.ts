/** §5: when more than `faults` members are gone for good, those who remain decide alone, by the operator's forced order. */
import { expect, test } from 'vitest';
import { signOrder } from '../../src/protocol/order.ts';
import { headOf, holdsShare } from '../../src/protocol/queries.ts';
import { hashOfValue } from '../../src/protocol/value.ts';
import { type Group, groupWithKey } from '../support/group.ts';

async function forceEvict(group: Group, by: number, remaining: number[]): Promise<void> {
  await group.order(by, { type: 'force-evict', remaining });
}

test('a 2-of-3 group whose third machine is dead for good goes on with two, and takes in another', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  await group.stop(3);
  // The ordinary change waits for all three.
  group.node(1).driver?.refresh();
  await group.run(10_000);
  expect(group.epochOf(1)).toBe(1);
  await forceEvict(group, 1, [1, 2]);
  await group.until(() => group.settledAt(2), 60_000, 'the forced change');
  expect(headOf(group.state(2)).roster.map(({ name }) => name)).toEqual(['p1', 'p2']);
  await group.join(1);
  await group.refresh(2);
  expect([1, 2, 4].every((place) => holdsShare(group.state(place)))).toBe(true);
  await group.stopAll();
});

test('it frees a group whose members died between the decision and Retire', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  // p3 decides epoch 2 with the others, and dies before it is ready.
  group.intercept = ({ from }, frame) =>
    from === 'p3' && frame.type === 'message' && frame.message.trials !== undefined ? [] : [frame];
  group.node(1).driver?.refresh();
  await group.until(() =>
    [1, 2].every((place) => group.epochOf(place) === 2 && holdsShare(group.state(place))),
  );
  await group.stop(3);
  await group.run(5_000);
  expect(group.state(1).durable.own.retired).toBe(1);
  await forceEvict(group, 2, [1, 2]);
  await group.until(() => group.settledAt(3), 60_000, 'the forced change');
  expect(Object.keys(group.state(1).durable.shares)).toEqual(['3']);
  await group.stopAll();
});

test('its votes never count with ordinary ones, and a peer that restarts keeps to its instance', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 2 });
  await group.stop(4);
  await group.stop(5);
  group.node(1).driver?.refresh(); // 3 of 5 attend, 4 are needed
  await group.run(3_000);
  await forceEvict(group, 1, [1, 2, 3]);
  await group.until(() => group.state(3).durable.own.forced !== null, 10_000, 'the news at p3');
  await group.stop(3);
  await group.restart(3);
  await group.until(() => group.settledAt(2), 60_000, 'the forced change');
  const link = group.state(3).durable.links[2]!;
  expect(link.certificate.type === 'precommits' && link.certificate.forced?.body.action.type).toBe(
    'force-evict',
  );
  await group.run(1_000);
  // An evicted peer that comes back later is not let in.
  await group.restart(5);
  await group.run(10_000);
  expect(group.epochOf(5)).toBe(1);
  await group.stopAll();
});

test('a forced order for another value, with too few left, or beside other orders is refused', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  const head = headOf(group.state(1));
  await expect(forceEvict(group, 1, [1])).rejects.toThrow();
  await expect(forceEvict(group, 1, [1, 2, 3, 4])).rejects.toThrow('must leave somebody out');
  await expect(forceEvict(group, 1, [1, 2, 9])).rejects.toThrow('must be members');
  const stale = signOrder(group.genesis, group.operatorSeed, {
    cluster: group.state(1).clusterId,
    ancestor: hashOfValue(group.founding.value),
    ancestorEpoch: 0,
    sequence: head.lastOrder + 1,
    action: { type: 'force-evict', remaining: [1, 2, 3] },
  });
  await expect(group.node(1).driver?.submitOrder(stale)).rejects.toThrow('on the newest value');
  await group.stopAll();
});
