/** What `doctor` asks a member for: secrets of epochs that are over, which a store should not have any more (§4.5). */
import { expect, test } from 'vitest';
import { leftoversIn } from '../../../src/node/views/leftovers.ts';
import type { Group } from '../../../src/simulation/world/group.ts';
import { fivePeers } from '../../scenarios/support.ts';

const sections = ['attended', 'dealt', 'subShares', 'epochSecrets'] as const;

/** p5's records of these sections while everything of a change is in use. */
async function recordsInUse(group: Group): Promise<Map<string, Uint8Array>> {
  const { records } = group.node(5).home;
  const inUse = () => [...records].filter(([key]) => sections.some((name) => key.startsWith(`${name}/`)));
  group.node(1).driver?.refresh();
  await group.until(() => group.state(5).durable.shares[2] !== undefined);
  return new Map(inUse());
}

/** Looks at every running member at every step until the condition holds; who had what left over. */
async function watch(group: Group, condition: () => boolean): Promise<string[]> {
  const seen = new Set<string>();
  await group.until(() => {
    for (const { name, driver } of group.running)
      for (const { kind } of driver === null ? [] : leftoversIn(driver.state)) seen.add(`${name} ${kind}`);
    return condition();
  }, 60_000);
  return [...seen];
}

test('no member has any, at any step of refreshes, of a recovery, and of an eviction', async () => {
  const group = await fivePeers();
  group.node(1).driver?.refresh();
  expect(await watch(group, () => group.settledAt(2))).toEqual([]);
  await group.stop(5);
  await group.refresh();
  await group.restart(5);
  expect(await watch(group, () => group.settledAt(3))).toEqual([]);
  await group.order(1, { type: 'evict', index: 5 });
  const others = [1, 2, 3, 4];
  const isOver = () => others.every((index) => group.state(index).durable.own.retired === 4);
  expect(await watch(group, () => group.epochOf(5) === 4 && isOver())).toEqual([]);
});

test('nor has any in a forced eviction out of a change that waits', async () => {
  const group = await fivePeers({ peers: 3, threshold: 2 });
  await group.stop(3);
  group.node(1).driver?.refresh();
  expect(await watch(group, () => Object.keys(group.state(2).durable.attended).length > 0)).toEqual([]);
  await group.order(1, { type: 'force-evict', remaining: [1, 2] });
  expect(await watch(group, () => group.settledAt(2))).toEqual([]);
});

test.each(sections)(
  'a record of %s that outlived its Retire is found, and gone after the next change',
  async (kind) => {
    const group = await fivePeers();
    const used = await recordsInUse(group);
    await group.until(() => group.settledAt(2));
    await group.stop(5);
    const { records } = group.node(5).home;
    const old = [...used].filter(([key]) => key.startsWith(`${kind}/`) && !records.has(key));
    expect(old.length).toBeGreaterThan(0);
    for (const [key, record] of old) records.set(key, record);
    await group.restart(5);
    await group.until(() => group.state(5).volatile.recall === null);
    expect(leftoversIn(group.state(5))).toEqual([{ kind, count: old.length }]);
    await group.refresh();
    expect(leftoversIn(group.state(5))).toEqual([]);
    for (const [key] of old) expect(records.has(key)).toBe(false);
  },
);

test('an older share that outlived its Retire stays after a start, and is gone after the next change', async () => {
  const group = await fivePeers();
  const { records } = group.node(5).home;
  const sharesHeld = () => [...records.keys()].filter((key) => key.startsWith('shares/')).sort();
  const old = records.get('shares/1') as Uint8Array;
  await group.refresh();
  await group.stop(5);
  records.set('shares/1', old);
  await group.restart(5);
  await group.run(10_000);
  expect(sharesHeld()).toEqual(['shares/1', 'shares/2']);
  await group.refresh();
  expect(sharesHeld()).toEqual(['shares/3']);
});

test('with an evicted member everything that it still has is left over', async () => {
  const group = await fivePeers();
  const used = await recordsInUse(group);
  await group.until(() => group.settledAt(2));
  await group.evict(1, 5);
  await group.until(() => group.epochOf(5) === 3);
  const state = group.state(5);
  expect(leftoversIn(state)).toEqual([]);
  const [key = '', record] = [...used].find(([name]) => name.startsWith('epochSecrets/')) ?? [];
  const epochSecrets = { [key.slice('epochSecrets/'.length)]: record as Uint8Array };
  expect(leftoversIn({ ...state, durable: { ...state.durable, epochSecrets } })).toEqual([
    { kind: 'epochSecrets', count: 1 },
  ]);
});
