/**
 * §5 "Sleepers": the store of a member that was away for long is worth a current share, so it is served no
 * share any more.
 */
import { afterEach, expect, test } from 'vitest';
import type { Output } from '../../src/protocol/machine/io.ts';
import { headOf, holdsShare, selfIn } from '../../src/protocol/machine/queries.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';

let group: Group;
afterEach(() => group.stopAll());

/** p5 was away for so many changes, of at most two after which it is served, and its store is open again. */
async function fifthComesBackAfter(changes: number): Promise<void> {
  group = await groupWithKey({ peers: 5, threshold: 3, absentEpochsMax: 2 });
  await group.stop(5);
  for (let change = 0; change < changes; change += 1) await group.refresh(1);
  await group.restart(5);
}

const grants = (): number => group.trace.filter(({ output }) => isGrant(output)).length;
const isGrant = (output: Output): boolean => output.type === 'rule' && output.rule === 'recover-grant';

test('a member that was away for no more changes than the genesis allows gets its share', async () => {
  await fifthComesBackAfter(2);
  await group.until(() => group.epochOf(5) === 3 && holdsShare(group.state(5)), 20_000);
  expect(grants()).toBeGreaterThan(0);
});

test('who joined after it had gone grants it nothing either: the value says how old its key is', async () => {
  group = await groupWithKey({ peers: 5, threshold: 3, absentEpochsMax: 2 });
  await group.stop(5);
  await group.refresh(1);
  const joined = await group.join(1); // its chain begins when the fifth was away already
  await group.refresh(1);
  await group.until(() => group.epochOf(joined) === 4 && holdsShare(group.state(joined)));
  const before = grants();
  await group.restart(5);
  await group.until(() => group.epochOf(5) === 4 && group.printed(5).includes('recover-ask'));
  await group.run(20_000);
  expect(holdsShare(group.state(5))).toBe(false);
  expect(grants()).toBe(before);
});

test('a member that was away longer is granted nothing, holds back no change, and comes back by being reinstated', async () => {
  await fifthComesBackAfter(3);
  await group.until(() => group.epochOf(5) === 4);
  await group.until(() => group.printed(5).includes('recover-ask'));
  await group.run(20_000);
  expect(holdsShare(group.state(5))).toBe(false);
  expect(grants()).toBe(0);
  for (const peer of [1, 2, 3, 4]) {
    expect(group.state(peer).volatile.recovery.hold).toBeNull();
    expect(group.state(peer).durable.pauses).toEqual({});
  }
  // Nor does it come in by a change: with a new epoch key it would be no sleeper any more.
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4, 5].every((peer) => group.epochOf(peer) === 5));
  await group.run(10_000);
  expect(grants()).toBe(0);
  await group.stop(5);
  const place = await group.reinstate(1, 5);
  expect(selfIn(group.state(place))).toMatchObject({ index: 5, name: 'p5' });
  expect(holdsShare(group.state(place))).toBe(true);
  await group.refresh(place);
  expect(headOf(group.state(1)).accepted.map(({ dealer }) => dealer)).toContain(5);
});
