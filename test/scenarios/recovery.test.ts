import { afterEach, expect, test } from 'vitest';
import { holdsShare } from '../../src/protocol/queries.ts';
import { type Group, groupWithKey } from '../support/group.ts';

let group: Group | null = null;
afterEach(async () => {
  await group?.stopAll();
  group = null;
});

test('a peer that was away for fifty epochs has its share again before the second refresh, in one run', async () => {
  group = await groupWithKey({ peers: 5, threshold: 3, timing: { dealingWindowMs: 200 } });
  await group.stop(5);
  for (let epoch = 0; epoch < 50; epoch += 1) await group.refresh(1 + (epoch % 4));
  const newest = group.epochOf(1);
  await group.restart(5);
  await group.until(() => group?.epochOf(5) === newest && holdsShare(group.state(5)), 30_000, 'the recovery');
  expect(group.rules(5).filter((rule) => rule === 'recover-run')).toHaveLength(1);
  await group.refresh(5);
  expect(holdsShare(group.state(5))).toBe(true);
});
