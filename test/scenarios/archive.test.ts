/**
 * §9 "The archive": who is far behind gets the links from the plain files of a member that keeps them,
 * checked as ever.
 */
import { expect, test } from 'vitest';
import type { Driver } from '../../src/node/driver/driver.ts';
import { keepingProblems } from '../../src/node/views/keeping-problems.ts';
import { encode } from '../../src/protocol/records/codec.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import type { Link } from '../../src/protocol/records/link.ts';
import { encodeStored } from '../../src/protocol/records/stored.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';

/** 2-of-4: three refresh while the fourth is away for longer than any core remembers, and than one frame brings. */
async function fourthFarBehind(): Promise<Group> {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  await group.stop(4);
  for (let epoch = 0; epoch < limits.linksPerFrameMax + limits.linksKept; epoch += 1) await group.refresh();
  return group;
}

test('who was away for longer than the cores remember follows the chain from the archives, and recovers', async () => {
  const group = await fourthFarBehind();
  expect(Object.keys(group.state(1).durable.links)).toHaveLength(limits.linksKept);
  await group.restart(4);
  await group.until(() => group.settledAt(group.epochOf(1)));
  expect(group.epochOf(4)).toBe(group.epochOf(1));
  // What it adopted it can show to others in its turn, however many links came in one frame.
  const { archive } = group.node(4).driver ?? {};
  await archive?.look();
  expect(archive?.unreadable).toEqual([]);
  await group.stopAll();
});

test('a damaged file costs its own piece of history: no start, and nobody whom another can serve', async () => {
  const group = await fourthFarBehind();
  group.node(1).home.records.delete('chain/000000010');
  group.node(2).home.records.set('chain/000000010', new Uint8Array([1]));
  await group.stop(1);
  await group.restart(1);
  const { archive } = group.node(1).driver ?? {};
  await archive?.look();
  expect(archive?.unreadable).toEqual([10]);
  const [problem] = keepingProblems(group.state(1), {
    fill: { bytes: 0, bytesMax: 1 },
    missing: archive?.unreadable ?? [],
    newer: null,
  });
  expect(problem).toMatchObject({ code: 'archive-incomplete' });
  expect(problem?.what).toContain('the value of epoch 10');
  await group.restart(4);
  await group.until(() => group.settledAt(group.epochOf(3)));
  await group.stopAll();
});

test('a file of a later version is named, stays, and is nothing to replace by another', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  for (let epoch = 0; epoch < limits.linksKept + 4; epoch += 1) await group.refresh();
  const files = ['chain/000000001', 'chain/000000002'] as const;
  const newer = encode({ v: 2, content: {}, later: 1 });
  const link = { ...((await group.node(1).driver?.archive.link(2)) as Link), v: 2 };
  const contents = [newer, encodeStored(link)];
  const { records } = group.node(1).home;
  for (const [at, file] of files.entries()) records.set(file, contents[at] as Uint8Array);
  await group.stop(1);
  await group.restart(1);
  const archive = (group.node(1).driver as Driver).archive;
  await archive.look();
  expect(archive.newer).toBeNull();
  expect([await archive.link(1), await archive.link(2), await archive.records(3)]).toMatchObject([
    null,
    null,
    { parent: null },
  ]);
  expect(archive.newer).toMatch(/^epoch 1, a record of the store has version 2, .*: upgrade Holdfast/);
  expect(archive.unreadable).toEqual([]);
  const problems = keepingProblems(group.state(1), {
    ...{ fill: { bytes: 0, bytesMax: 1 }, missing: archive.unreadable, newer: archive.newer },
  });
  expect(problems).toMatchObject([{ code: 'other-version', what: expect.stringContaining('epoch 1') }]);
  await group.refresh();
  for (const [at, file] of files.entries()) expect(records.get(file)).toEqual(contents[at]);
  await group.stopAll();
});

test('who is behind what everybody keeps is told so, with the next step', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  await group.stop(4);
  await group.refresh();
  await group.refresh();
  // As if they kept only the newest.
  group.intercept = ({ from, to }, frame) => {
    if (to !== 'p4') return [frame];
    if (frame.type === 'summary') return [{ ...frame, oldest: group.epochOf(Number(from.slice(1))) }];
    return frame.type === 'links' ? [] : [frame];
  };
  await group.restart(4);
  const problems = () =>
    keepingProblems(group.state(4), { fill: { bytes: 0, bytesMax: 1 }, missing: [], newer: null });
  await group.until(() => problems().length > 0);
  expect(problems()[0]).toMatchObject({ code: 'links-gone' });
  expect(problems()[0]?.remedy).toContain('holdfast reinstate p4');
  await group.stopAll();
});
