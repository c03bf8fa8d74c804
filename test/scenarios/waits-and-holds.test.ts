/**
 * §5: a recovery that meets the next change holds it or waits for it; status and history show both, also
 * after a restart.
 */
import { expect, test } from 'vitest';
import { pauseInWords } from '../../src/cli/pause-words.ts';
import { epochView, heldRecords } from '../../src/node/views/daemon-views.ts';
import type { PauseView } from '../../src/node/views/view.ts';
import { holdsShare } from '../../src/protocol/machine/queries.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { fifthAwayInMidChange } from './support.ts';

const historyAt = (group: Group, place: number, epoch: number): PauseView[] => {
  const records = heldRecords(group.state(place), epoch);
  return records === null ? [] : epochView(group.state(place), records, group.time.clock().wallMs()).pauses;
};

test('a change that is held for a member shows for whom and how long, now and in the history', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3, timing: { recoveryHoldMs: 5_000 } });
  await group.stop(5);
  await group.refresh(1);
  await group.restart(5);
  await group.until(() => group.state(1).volatile.recovery.hold !== null);
  const sinceMs = group.time.clock().wallMs() - Math.floor(group.state(1).volatile.wallMs);
  expect(sinceMs).toBeLessThan(2);
  expect(group.status(1).pauses.map(pauseInWords)).toEqual([
    `change to epoch 3 is held for p5, ${Math.round(sinceMs)} ms so far`,
  ]);
  // A refresh that is asked for meanwhile begins only when the share is back.
  group.node(1).driver?.refresh();
  await group.until(() => holdsShare(group.state(5)) && group.state(1).volatile.recovery.hold === null);
  const [held] = group.status(1).pauses;
  expect(held).toMatchObject({ kind: 'held', epoch: 3, member: 'p5', lasts: false });
  expect(held?.ms).toBeGreaterThan(0);
  expect(held?.ms).toBeLessThan(5_000);
  await group.until(() => group.settledAt(3));
  expect(historyAt(group, 1, 3)).toEqual([held]);
  await group.stop(1);
  await group.restart(1);
  expect(historyAt(group, 1, 3).map(pauseInWords)).toEqual([
    `change to epoch 3 was held ${held?.ms} ms for p5`,
  ]);
  await group.stopAll();
});

test('a hold for a member that does not come back ends by itself, and so says its length', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3, timing: { recoveryHoldMs: 3_000 } });
  await group.stop(5);
  await group.refresh(1);
  await group.restart(5);
  await group.until(() => group.state(1).volatile.recovery.hold !== null);
  await group.stop(5);
  await group.refresh(1);
  expect(historyAt(group, 1, 3)).toEqual([{ kind: 'held', epoch: 3, member: 'p5', ms: 3_000, lasts: false }]);
  await group.stopAll();
});

test('a member that comes back in mid-change waits for it, and both sides show that', async () => {
  const group = await fifthAwayInMidChange();
  await group.restart(5);
  await group.until(() => group.status(5).pauses.length > 0);
  expect(group.status(5).pauses.map(pauseInWords)).toEqual(['p5 waits for epoch 3 to finish']);
  const helper = [1, 2, 3, 4].find((place) => group.status(place).pauses.length > 0) ?? 0;
  expect(group.status(helper).pauses.map(pauseInWords)).toEqual(['p5 waits for epoch 3 to finish']);
  await group.until(() => group.settledAt(3));
  for (const place of [5, helper]) {
    expect(group.status(place).pauses.filter(({ kind }) => kind === 'waited')).toEqual([]);
    const [waited] = historyAt(group, place, 3);
    expect(waited).toMatchObject({ kind: 'waited', epoch: 3, member: 'p5', lasts: false });
    expect(waited?.ms).toBeGreaterThan(0);
  }
  await group.stopAll();
});
