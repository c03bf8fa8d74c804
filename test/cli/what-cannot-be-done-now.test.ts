/** An order that the group cannot carry out now is refused, or said to wait, before anybody signs it. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DaemonError } from '../../src/node/views/view.ts';
import { ProtocolError } from '../../src/protocol/errors.ts';
import type { FakeGroup } from './fake-group.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
let group: FakeGroup;
const short = '4 of 5 members must attend this change and 3 can; d, e cannot be reached';
const helps = 'start them, or, if they are gone for good: holdfast evict d e --forced';

beforeAll(async () => {
  await bench.init(['--threshold', '3']);
  group = await bench.serve(['b', 'c', 'd', 'e', 'f']);
});
afterAll(() => bench.close());
afterEach(() => {
  group.silent.clear();
  group.holds = false;
});

const fingerprints = (...names: string[]) => names.map((name) => group.fingerprint(name));

it('a founding that leaves somebody out names who also waits', async () => {
  const names = ['b', 'c', 'd', 'e'];
  const [first] = await bench.runMany([['admit', ...names, '--yes', ...fingerprints(...names)]]);
  expect([first?.code, first?.stderr]).toEqual([
    0,
    expect.stringContaining('f also waits: holdfast admit f\n'),
  ]);
});

it('an eviction is refused with what helps, and no order is left behind', async () => {
  group.silent.add('d').add('e');
  const order = bench.path('order');
  const [refused, kept, submitted] = await bench.runMany([
    ['evict', 'd', '--yes', 'd'],
    ['evict', 'd', '--yes', 'd', '--order-file', order],
    ['order', 'submit', order],
  ]);
  expect(refused).toEqual({ code: 4, stdout: '', stderr: `holdfast: ${short}: ${helps}\n` });
  expect(kept?.code, kept?.stderr).toBe(0);
  expect([submitted?.code, submitted?.stderr]).toEqual([4, `holdfast: ${short}: ${helps}\n`]);
  expect(group.head.lastOrder).toBe(0);
});

it('advises no forced eviction that could not be carried out', async () => {
  for (const name of ['c', 'd', 'e']) group.silent.add(name);
  const [refused] = await bench.runMany([['evict', 'd', '--yes', 'd']]);
  expect([refused?.code, refused?.stderr]).toEqual([
    4,
    'holdfast: 4 of 5 members must attend this change and 2 can; c, d, e cannot be reached: start them\n',
  ]);
});

it('other orders are handed in, and said to wait', async () => {
  group.silent.add('d').add('e');
  group.holds = true;
  const results = await bench.runMany([
    ['client', 'add', 'ci', '--key', '*', '--may', 'sign', '--open', '--no-wait'],
    ['admit', 'f', '--yes', ...fingerprints('f'), '--no-wait'],
  ]);
  for (const { code, stderr } of results)
    expect([code, stderr]).toEqual([
      0,
      expect.stringContaining(`warning: this will wait: ${short}: ${helps}\n`),
    ]);
  group.silent.clear();
  const [quiet] = await bench.runMany([
    ['client', 'add', 'x', '--key', '*', '--may', 'sign', '--open', '--no-wait'],
  ]);
  expect([quiet?.code, quiet?.stderr]).toEqual([0, expect.not.stringContaining('wait:')]);
});

it('an order that another one keeps out names that one, who is missing, and what helps', async () => {
  const submit = group.submitOrder;
  group.submitOrder = async () => {
    const why = new ProtocolError(
      'order-pending',
      'another order 1 is pending; wait until it is carried out',
    );
    throw new DaemonError('refused', why.message, { rule: why.code });
  };
  group.silent.add('d').add('e');
  const add = ['client', 'add', 'y', '--key', '*', '--may', 'sign', '--open'];
  const [waits] = await bench.runMany([add]);
  expect([waits?.code, waits?.stderr]).toEqual([
    3,
    expect.stringContaining(
      `holdfast: order 1 is pending and waits: ${short}: ${helps}; nothing was handed in\n`,
    ),
  ]);
  group.silent.clear();
  const [soon] = await bench.runMany([add]);
  expect([soon?.code, soon?.stderr]).toEqual([
    3,
    expect.stringContaining(
      'holdfast: order 1 is pending, and enough members can attend its change; nothing was handed in: run this again',
    ),
  ]);
  group.submitOrder = submit;
});
