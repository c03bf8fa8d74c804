/** What `status` says is wrong, from the state of real cores in a simulated group. */
import { expect, test } from 'vitest';
import { problemsOf } from '../../src/node/daemon-views.ts';
import { Group } from '../support/group.ts';

const codesAt = (group: Group, place: number) => {
  const state = group.state(place);
  return problemsOf(state, null, new Set(Object.keys(state.volatile.authenticated))).map(
    ({ code, what }) => `${code}: ${what}`,
  );
};

const knowsClocks = (group: Group, place: number, count: number): boolean => {
  const { clockAheadMs, recall } = group.state(place).volatile;
  return recall === null && Object.keys(clockAheadMs).length === count;
};

test('a clock that is wrong by minutes is named at its own peer and at the others', async () => {
  const group = new Group({ peers: 4, threshold: 2, clockSkewMs: { 4: -5 * 60_000 } });
  await group.start();
  await group.until(() => [1, 2, 3, 4].every((place) => knowsClocks(group, place, 3)));
  expect(codesAt(group, 4)).toEqual(["own-clock: This peer's clock is 5 min behind all others."]);
  expect(codesAt(group, 1)).toEqual(['peer-clock: The clocks of this peer and p4 differ by 5 min.']);
  await group.stopAll();
});

test('clocks within a minute of each other are no problem', async () => {
  const group = new Group({ peers: 3, threshold: 2, clockSkewMs: { 3: 50_000 } });
  await group.start();
  await group.until(() => [1, 2, 3].every((place) => knowsClocks(group, place, 2)));
  expect(codesAt(group, 1)).toEqual([]);
  await group.stopAll();
});

test('too few reachable peers are named for signing and for refreshing', async () => {
  const group = new Group({ peers: 5, threshold: 3 });
  await group.start();
  await group.createKey();
  await group.stop(4);
  await group.stop(5);
  await group.until(() => Object.keys(group.state(1).volatile.authenticated).length === 2);
  expect(codesAt(group, 1)).toEqual([
    'refresh-will-wait: The next refresh will wait: it needs 4 of 5 members, and p4, p5 cannot be reached.',
  ]);
  await group.stop(3);
  await group.until(() => Object.keys(group.state(1).volatile.authenticated).length === 1);
  expect(codesAt(group, 1).join(' ')).toContain('cannot-sign: Only 2 of the 3 peers');
  await group.stopAll();
});
