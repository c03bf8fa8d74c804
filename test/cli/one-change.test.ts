/** A command that names several things is one order: done whole in one change, or refused before anything is done. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkOneChange } from '../../src/cli/one-change.ts';
import type { Action } from '../../src/protocol/records/order.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';
import { contradict } from '../scenarios/support.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
let group: ServedGroup;
const names = () => group.head.roster.map(({ name }) => name).join('');
const admit = (...who: string[]) =>
  bench.run(['admit', ...who, '--yes', ...who.map((name) => group.fingerprint(name))]);

beforeAll(async () => {
  await bench.init(['--threshold', '3']);
  group = await bench.serve(['b', 'c', 'd', 'e']);
  expect(await admit('b', 'c', 'd', 'e')).toMatchObject({ code: 0 });
});
afterAll(() => bench.close());

test('three evictions of which one change can do two are refused whole, with what can be done and what it leaves', async () => {
  const file = bench.path('order');
  for (const more of [[], ['--order-file', file]])
    expect(await bench.run(['evict', 'c', 'd', 'e', ...more])).toMatchObject({
      code: 3,
      stderr:
        'holdfast: fewer than 3 members would remain; nothing was done; at most 2 of these 3 can be done: holdfast evict c d, which leaves 3-of-3: signing survives 0 dead peers; a refresh needs all 3\n',
    });
  expect(existsSync(file)).toBe(false);
  expect([group.head.epoch, names()]).toEqual([0, 'abcde']);
});

test('beside a suspended member an eviction after which too few could attend is refused, and says whom to evict first', async () => {
  await Promise.all([group.refreshed(), contradict(group.nodes, 5)]);
  expect(await bench.run(['evict', 'd'])).toMatchObject({
    code: 3,
    stderr:
      'holdfast: only 3 of the 4 members could attend the next change, which needs 4: e is suspended; reinstate or evict e first; nothing was done\n',
  });
  expect(await bench.run(['evict', 'c', 'd'])).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/^holdfast: only 2 of the 3 members .*; nothing was done\n$/),
  });
  expect(await bench.run(['threshold', 'raise', '4', '--yes'])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('only 4 of the 5 members could attend the next change, which needs 5'),
  });
  await group.joins('e');
  await bench.must(['reinstate', 'e', '--yes', group.fingerprint('e')]);
  expect([group.head.epoch, names()]).toEqual([2, 'abcde']);
});

test('two evictions are one order, shown as such in its file, and what remains is said before it is signed', async () => {
  const file = bench.path('order');
  const remains = 'from the next epoch on: 3-of-3: signing survives 0 dead peers; a refresh needs all 3\n';
  const kept = await bench.run(['evict', 'd', 'e', 'd', '--yes', 'd', 'e', '--order-file', file, '--json']);
  expect(kept).toMatchObject({ code: 0, stderr: expect.stringContaining(remains) });
  expect(JSON.parse(kept.stdout.toString())).toMatchObject({
    sequence: 2,
    actions: [
      { type: 'evict', words: 'evict d (member 4)' },
      { type: 'evict', words: 'evict e (member 5)' },
    ],
  });
  const signed = await bench.run(['order', 'sign', file, '--yes']);
  expect(signed.stderr).toMatch(/^evict d \(member 4\)\nevict e \(member 5\)\norder 2 of cluster bench /);
  expect(signed.stderr).toContain(remains);
  expect(await bench.must(['order', 'submit', file])).toBe(
    'epoch 3: carried out: evict d (member 4); evict e (member 5)\n',
  );
  expect([group.head.lastOrder, names()]).toEqual([2, 'abc']);
});

test('two admissions are one order', async () => {
  await group.joins('f');
  await group.joins('g');
  const { code, stdout, stderr } = await admit('f', 'g');
  expect([code, stdout.toString()]).toEqual([0, expect.stringMatching(/^epoch 4: f, g admitted; 3-of-5: /)]);
  expect(stderr).toContain('from the next epoch on: 3-of-5: signing survives 2 dead peers; ');
  expect([group.head.lastOrder, names()]).toEqual([3, 'abcfg']);
});

test('more than one order can carry is refused with the steps that do it', () => {
  const paper = paperCluster({ peers: 20 });
  const { value } = paper.founding;
  const actions = value.roster.slice(3).map(({ index }): Action => ({ type: 'evict', index }));
  const of = { genesis: paper.genesis, cluster: paper.clusterId };
  expect(() => checkOneChange(actions, value, of)).toThrow(
    `one change cannot do all of this: one order does at most 16 things; nothing was done; one after the other it can be done: holdfast evict ${Array.from({ length: 16 }, (_, at) => `p${at + 4}`).join(' ')}, then holdfast evict p20`,
  );
  expect(checkOneChange(actions.slice(0, 16), value, of).roster).toHaveLength(4);
});

test('what is refused alone may be done together with the rest: a suspended member and another', () => {
  const paper = paperCluster();
  const packet = { body: new Uint8Array(1), signature: new Uint8Array(64) };
  const value = { ...paper.founding.value, suspended: [{ index: 5, first: packet, second: packet }] };
  const of = { genesis: paper.genesis, cluster: paper.clusterId };
  const evict = (...indices: number[]) =>
    checkOneChange(
      indices.map((index): Action => ({ type: 'evict', index })),
      value,
      of,
    );
  expect(evict(4, 5).roster.map(({ name }) => name)).toEqual(['p1', 'p2', 'p3']);
  expect(() => evict(4)).toThrow('reinstate or evict p5 first');
  expect(() => evict(3, 4, 5)).toThrow(
    'fewer than 3 members would remain; nothing was done; at most 2 of these 3 can be done: holdfast evict p5 p3, which leaves 3-of-3: signing survives 0 dead peers; a refresh needs all 3',
  );
});
