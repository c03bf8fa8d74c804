/** An order that the group cannot carry out now is refused, or said to wait, before anybody signs it. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
let group: ServedGroup;
const short = '4 of 5 members must attend this change and 3 can; d, e cannot be reached';
const helps = 'start them, or, if they are gone for good: holdfast evict d e --forced';

beforeAll(async () => {
  await bench.init(['--threshold', '3']);
  group = await bench.serve(['b', 'c', 'd', 'e', 'f']);
});
afterAll(() => bench.close());
afterEach(() => group.calm());

const addClient = (name: string) => ['client', 'add', name, '--key', '*', '--may', 'sign', '--open'];
const fingerprints = (...names: string[]) => names.map((name) => group.fingerprint(name));

test('a founding that leaves somebody out names who also waits', async () => {
  const names = ['b', 'c', 'd', 'e'];
  const [first] = await bench.runMany([['admit', ...names, '--yes', ...fingerprints(...names)]]);
  expect([first?.code, first?.stderr]).toEqual([
    0,
    expect.stringContaining('f also waits: holdfast admit f\n'),
  ]);
});

test('an eviction is refused with what helps, and no order is left behind', async () => {
  await group.silence('d', 'e');
  const order = bench.path('order');
  const evicts = ['evict', 'd', '--yes', 'd'];
  await bench.must([...evicts, '--order-file', order]);
  const [[refused], [submitted]] = await Promise.all([
    bench.runMany([evicts]),
    bench.runMany([['order', 'submit', order]]),
  ]);
  expect(refused).toEqual({ code: 4, stdout: '', stderr: `holdfast: ${short}: ${helps}\n` });
  expect([submitted?.code, submitted?.stderr]).toEqual([4, `holdfast: ${short}: ${helps}\n`]);
  expect(group.head.lastOrder).toBe(0);
});

test('advises no forced eviction that could not be carried out', async () => {
  await group.silence('c', 'd', 'e');
  const [refused] = await bench.runMany([['evict', 'd', '--yes', 'd']]);
  expect([refused?.code, refused?.stderr]).toEqual([
    4,
    'holdfast: 4 of 5 members must attend this change and 2 can; c, d, e cannot be reached: start them\n',
  ]);
});

test('other orders are handed in, and said to wait', async () => {
  await group.silence('d', 'e');
  group.holds = true;
  const [told] = await bench.runMany([['admit', 'f', '--yes', ...fingerprints('f'), '--no-wait']]);
  expect([told?.code, told?.stderr]).toEqual([
    0,
    expect.stringContaining(`warning: this will wait: ${short}: ${helps}\n`),
  ]);
  await group.calm();
  const [quiet] = await bench.runMany([[...addClient('x'), '--no-wait']]);
  expect([quiet?.code, quiet?.stderr]).toEqual([0, expect.not.stringContaining('wait:')]);
});

test('an order that another one keeps out names that one, who is missing, and what helps', async () => {
  await group.silence('d', 'e');
  group.holds = true;
  const [, waits] = await bench.runMany([[...addClient('y'), '--no-wait'], addClient('z')]);
  const nowShort = '5 of 6 members must attend this change and 4 can; d, e cannot be reached';
  expect([waits?.code, waits?.stderr]).toEqual([
    3,
    expect.stringContaining(
      `holdfast: order 3 is pending and waits: ${nowShort}: ${helps}; nothing was handed in\n`,
    ),
  ]);
  await group.wake();
  const [soon] = await bench.runMany([addClient('z')]);
  expect([soon?.code, soon?.stderr]).toEqual([
    3,
    expect.stringContaining(
      'holdfast: order 3 is pending, and enough members can attend its change; nothing was handed in: run this again',
    ),
  ]);
  await group.calm();
  expect(group.head.clients.map(({ name }) => name)).toEqual(['x', 'y']);
});

test('members that are about to prove their connections are waited for, and nothing is said of them', async () => {
  const { roster } = group.status();
  const can = { sign: 'no', attend: 'no', deal: 'no', help: 'no' } as const;
  const proving = roster.map((member) =>
    ['d', 'e'].includes(member.name)
      ? { ...member, connection: 'unproven' as const, barred: 'unproven' as const, can }
      : member,
  );
  group.shown = { roster: proving };
  const asked = Promise.withResolvers<void>();
  const status = group.status;
  group.status = () => {
    asked.resolve();
    return status.call(group);
  };
  const evicts = bench.runMany([['evict', 'e', '--yes', 'e']]);
  await asked.promise;
  group.shown = {};
  group.change();
  group.status = status;
  const [evicted] = await evicts;
  expect([evicted?.code, evicted?.stderr]).toEqual([0, expect.not.stringContaining('prove')]);
});
