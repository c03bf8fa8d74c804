/** §4.1: after every change that orders make, enough members may attend the next one, or it is refused. */
import { afterEach, expect, test } from 'vitest';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { contradict } from './support.ts';

let group: Group;
afterEach(() => group.stopAll());

/** 3-of-5, and the value of epoch 2 suspends p5: a change needs four of five, and four may attend. */
async function fifthSuspended(): Promise<void> {
  group = await groupWithKey({ peers: 5, threshold: 3 });
  group.node(1).driver?.refresh();
  await contradict(group, 5);
  await group.until(() => [1, 2, 3, 4].every((place) => group.epochOf(place) === 2));
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);
  await group.until(() => [1, 2, 3, 4].every((place) => group.state(place).durable.own.retired === 2));
}
const refreshed = (places: number[], epoch: number) =>
  group.until(
    () => places.every((place) => group.epochOf(place) === epoch && holdsShare(group.state(place))),
    60_000,
    `epoch ${epoch}`,
  );

test('an eviction beside a suspended member, after which too few could attend, is refused; others go on', async () => {
  await fifthSuspended();
  await expect(group.order(1, { type: 'evict', index: 4 })).rejects.toThrow(
    'only 3 of the 4 members could attend the next change, which needs 4: p5 is suspended; reinstate or evict p5 first',
  );
  // Nothing of it is left: the group refreshes, and takes the way that the refusal names.
  group.node(1).driver?.refresh();
  await refreshed([1, 2, 3, 4], 3);
  await group.order(1, { type: 'evict', index: 5 });
  await refreshed([1, 2, 3, 4], 4);
  await group.order(1, { type: 'evict', index: 4 });
  await refreshed([1, 2, 3], 5);
  group.node(1).driver?.refresh();
  await refreshed([1, 2, 3], 6);
});

test('so is a raised threshold beside a suspended member, until that one has its place again', async () => {
  await fifthSuspended();
  await expect(group.order(1, { type: 'raise-threshold', threshold: 4 })).rejects.toThrow(
    'only 4 of the 5 members could attend the next change, which needs 5: p5 is suspended',
  );
  await group.stop(5);
  const place = await group.reinstate(1, 5);
  await group.order(1, { type: 'raise-threshold', threshold: 4 });
  await refreshed([1, 2, 3, 4, place], 4);
  group.node(1).driver?.refresh();
  await refreshed([1, 2, 3, 4, place], 5);
});

test('one order evicts both at once, where what is left can attend', async () => {
  await fifthSuspended();
  await group.order(1, { type: 'evict', index: 4 }, { type: 'evict', index: 5 });
  await refreshed([1, 2, 3], 3);
  group.node(1).driver?.refresh();
  await refreshed([1, 2, 3], 4);
});

test('a value that suspends a member of a group without one to spare stops it, and a forced eviction frees it', async () => {
  group = await groupWithKey({ peers: 5, threshold: 3 });
  await group.order(1, { type: 'evict', index: 4 });
  await contradict(group, 5);
  await group.until(() => [1, 2, 3].every((place) => group.epochOf(place) === 2));
  const { roster, suspended } = headOf(group.state(1));
  expect(roster.map(({ index }) => index)).toEqual([1, 2, 3, 5]);
  expect(suspended.map(({ index }) => index)).toEqual([5]);
  // Three of four get their new shares: they sign, but are no quorum of Readys, and so erase nothing and
  // refresh nothing.
  group.node(1).driver?.refresh();
  await group.run(20_000);
  expect(group.epochOf(1)).toBe(2);
  expect(group.state(1).durable.own.retired).toBe(1);
  // No ordinary order can help any more, and none is left hanging.
  await expect(group.order(1, { type: 'evict', index: 5 })).rejects.toThrow(
    'only 3 of the 4 members may attend a change, which needs 4: p5 is suspended; those who remain must evict p5 by force',
  );
  await expect(group.order(1, { type: 'force-evict', remaining: [1, 2, 5] })).rejects.toThrow(
    'p5 is suspended',
  );
  expect(group.status(1).problems).toMatchObject([
    {
      what: 'The change to epoch 2 waits: it needs all 4 members to be ready; missing: p5.',
      remedy: 'Waiting does not help: holdfast evict p5 --forced. Signing is not affected.',
    },
    { remedy: expect.stringContaining('Then evict it by force (holdfast evict p5 --forced)') },
    { code: 'contradiction' },
  ]);
  await group.order(1, { type: 'force-evict', remaining: [1, 2, 3] });
  await refreshed([1, 2, 3], 3);
  group.node(1).driver?.refresh();
  await refreshed([1, 2, 3], 4);
});
