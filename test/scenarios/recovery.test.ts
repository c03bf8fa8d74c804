/** §5: a member that has no share of the newest epoch, for whichever reason, is given it back in one run. */
import { expect, test } from 'vitest';
import { holdsShare } from '../../src/protocol/machine/queries.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fivePeers } from './support.ts';

const epochs = 50;
const runsOf = (group: Group): number => group.printed(5).filter((rule) => rule === 'recover-run').length;

test(`a peer that was away for ${epochs} epochs has its share again before the second refresh, in one run`, async () => {
  const group = await fivePeers({ timing: { dealingWindowMs: 200 } });
  await group.stop(5);
  for (let epoch = 0; epoch < epochs; epoch += 1) await group.refresh(1 + (epoch % 4));
  const newest = group.epochOf(1);
  await group.restart(5);
  // The first refresh is asked for at once, and the second as soon as anybody is done with the first.
  const refreshWhereDone = (epoch: number) => {
    for (const index of [1, 2, 3, 4])
      if (group.state(index).durable.own.retired === epoch && group.epochOf(index) === epoch)
        group.node(index).driver?.refresh();
  };
  refreshWhereDone(newest);
  const isBack = () => group.epochOf(5) >= newest && holdsShare(group.state(5));
  await group.until(
    () => {
      refreshWhereDone(newest + 1);
      return isBack();
    },
    30_000,
    'the recovery',
  );
  for (const index of [1, 2, 3, 4, 5]) expect(group.epochOf(index)).toBeLessThanOrEqual(newest + 1);
  expect(runsOf(group)).toBe(1);
  await group.until(
    () => {
      refreshWhereDone(newest + 1);
      return group.settledAt(newest + 2);
    },
    30_000,
    'the second refresh',
  );
  expect(runsOf(group)).toBe(1);
});

test('a member whose store lost its share is given it again in one run, the same one', async () => {
  const group = await fivePeers();
  const epoch = await group.refresh();
  await group.stop(5);
  const { records } = group.node(5).home;
  const lost = [...records].filter(([key]) => key.startsWith('shares/'));
  expect(lost.map(([key]) => key)).toEqual([`shares/${epoch}`]);
  for (const [key] of lost) records.delete(key);
  await group.restart(5);
  expect(holdsShare(group.state(5))).toBe(false);
  await group.until(() => holdsShare(group.state(5)), 30_000, 'the recovery');
  expect(runsOf(group)).toBe(1);
  expect(group.epochOf(5)).toBe(epoch);
  expect([...records].filter(([key]) => key.startsWith('shares/'))).toEqual(lost);
});
