/** A group in the crash model: every command that says what its numbers mean says what a liar could do. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
let group: ServedGroup;
let warned = '';
const risk = (n: number, who: string) =>
  `a refresh survives 1 silent of ${n}, but no liar: ${who} could split the group (fault model crash)`;

beforeAll(async () => {
  warned = (await bench.init(['--faults', 'crash'])).stderr;
  group = await bench.serve(['b', 'c']);
});
afterAll(() => bench.close());

test('it is said at init, at the founding, in the status, and when the group or its threshold changes', async () => {
  expect(warned).toContain(
    'ONE lying peer can split this cluster, and one that dies for good while others are away can lose its keys.',
  );
  const admit = (...names: string[]) =>
    bench.must(['admit', ...names, '--yes', ...names.map((name) => group.fingerprint(name))]);
  expect(await admit('b', 'c')).toContain(risk(3, '1 lying peer'));
  expect(await bench.must(['status'])).toContain(risk(3, '1 lying peer'));
  await group.joins('d');
  expect(await admit('d')).toContain(risk(4, '2 that lie together'));
  expect(await bench.must(['threshold', 'raise', '3', '--yes'])).toContain(risk(4, '2 that lie together'));
  // Three of three are all needed: nothing is left to split.
  const evicted = await bench.must(['evict', 'd', '--yes', 'd']);
  expect(evicted).toContain('3-of-3');
  expect(evicted).not.toContain('liar');
});
