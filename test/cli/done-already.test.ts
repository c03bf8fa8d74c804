/** A command that is given again after an ending without an answer: what the group has done is not called a failure. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { DaemonError } from '../../src/node/errors.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench, type ManyResult } from './holdfast.ts';

describe('an order that was carried out already', () => {
  const bench = new Bench();
  let group: ServedGroup;
  const [primes, otherPrimes] = [bench.primes(), bench.primes(2)];
  const create = ['key', 'create', 'ca', '--use', 'sign'];

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c', 'd', 'e']);
    const names = ['b', 'c', 'd', 'e'];
    await bench.must(['admit', ...names, '--yes', ...names.map((name) => group.fingerprint(name))]);
  });
  afterAll(() => bench.close());

  /** Each command twice: the second time it says what the first one said, of the same epoch, and changes nothing. */
  async function twice(...commands: string[][]): Promise<void> {
    const results = await bench.runMany(commands.flatMap((words) => [words, ['refresh', '--wait'], words]));
    for (const [at, words] of commands.entries()) {
      const [first, , again] = results.slice(3 * at) as [ManyResult, ManyResult, ManyResult];
      const shown = `${words.join(' ')}: ${first.stderr}${again.stderr}`;
      expect([first.code, again.code], shown).toEqual([0, 0]);
      const [line = '', ...more] = first.stdout.trimEnd().split('\n');
      expect(again.stdout, shown).toBe(`${[`${line}; this was done already`, ...more].join('\n')}\n`);
    }
  }

  test('an admission and a reinstatement are recognised by their fingerprints', async () => {
    await group.joins('c');
    const print = group.fingerprint('c');
    await twice(['reinstate', 'c', '--yes', print]);
    const results = await bench.runMany([
      ['admit', 'b', '--yes', group.fingerprint('b')],
      ['admit', 'b', '--yes', print],
      ['reinstate', 'c', '--yes', group.fingerprint('b')],
      ['reinstate', 'b', '--yes', group.fingerprint('b')],
    ]);
    expect(results.map(({ code }) => code)).toEqual([0, 3, 3, 3]);
    expect(results[0]?.stdout).toMatch(/^epoch 0: b admitted; .*; this was done already\n$/);
    expect(results[1]?.stderr).toContain('a member named b exists already');
    for (const { stderr } of results.slice(2)) expect(stderr).toContain('waits in the lobby');
  });

  test('an admission that names members too says so, and what is left to admit', async () => {
    await group.joins('f');
    const before = group.head.lastOrder;
    const prints = (...names: string[]) => ['--yes', ...names.map((name) => group.fingerprint(name))];
    const results = await bench.runMany([
      ['admit', 'b', 'e', 'f', ...prints('b', 'e', 'f')],
      ['admit', 'b', 'f'],
      ['admit', 'c', ...prints('c')],
    ]);
    expect(results.map(({ code }) => code)).toEqual([3, 3, 3]);
    expect(results.map(({ stderr }) => stderr)).toEqual([
      'holdfast: b, e are members already; nothing was done; holdfast admit f\n',
      'holdfast: b is a member already; nothing was done; holdfast admit f\n',
      'holdfast: c is a member already; nothing was done\n',
    ]);
    expect(group.head.lastOrder).toBe(before);
  });

  test('is recognised by all that it names, and by the epoch since when it is so', async () => {
    await twice(
      [...create, '--primes-file', primes, '--client', 'web', '--open'],
      ['client', 'add', 'ci', '--key', 'ca', '--may', 'sign', '--rate', '7/min', '--open'],
      ['client', 'remove', 'ci'],
      ['evict', 'd', 'e', '--yes', 'd', 'e'],
    );
    expect(group.head.lastOrder).toBe(5);
  });

  test('a threshold that is so already is said with the present roster, whoever made it so', async () => {
    const raise = (k: number) => ['threshold', 'raise', String(k), '--yes'];
    const [founded, raised, again, json] = await bench.runMany([
      raise(2),
      raise(3),
      raise(3),
      [...raise(3), '--json'],
    ]);
    expect([founded?.code, founded?.stdout]).toEqual([
      0,
      'the threshold is 2 already; 2-of-3: signing survives 1 dead peer; a refresh needs all 3\n',
    ]);
    expect([raised?.code, raised?.stdout]).toEqual([0, expect.stringMatching(/^epoch \d+: 3-of-3: /)]);
    expect([again?.code, again?.stdout]).toEqual([
      0,
      'the threshold is 3 already; 3-of-3: signing survives 0 dead peers; a refresh needs all 3\n',
    ]);
    expect(JSON.parse(json?.stdout ?? '')).toMatchObject({ already: true, epoch: group.head.epoch });
    expect(group.head.lastOrder).toBe(6);
  });

  test('a member that keeps no older values says since when it knows', async () => {
    const first = group.head.epoch - 2;
    const links = group.links.bind(group);
    const shorter = vi.spyOn(group, 'links').mockImplementation(async (from) => {
      if (from < first)
        throw new DaemonError('unknown', `this peer keeps the values since epoch ${first} only`);
      return links(from);
    });
    onTestFinished(() => shorter.mockRestore());
    const [raised, evicted, added] = await bench.runMany([
      ['threshold', 'raise', '3', '--yes'],
      ['evict', 'nobody'],
      ['client', 'add', 'new', '--key', 'ca', '--may', 'sign', '--open'],
    ]);
    expect([raised?.code, raised?.stdout], raised?.stderr).toEqual([
      0,
      expect.stringContaining('the threshold is 3 already; 3-of-3'),
    ]);
    expect([evicted?.code, evicted?.stderr]).toEqual([3, expect.stringContaining('no member named nobody')]);
    expect([added?.code, added?.stdout], added?.stderr).toEqual([
      0,
      expect.stringMatching(/client new may sign/),
    ]);
  });

  test('the key of a client that was made with it is known by that client, without its primes', async () => {
    const [again] = await bench.runMany([[...create, '--client', 'web', '--open']]);
    expect([again?.code, again?.stdout]).toEqual([
      0,
      expect.stringMatching(/^epoch 3: key ca, 2048 bits, .*; this was done already\nclient web may sign/),
    ]);
  });

  test('is another one when anything differs, and that is said', async () => {
    const { lastOrder } = group.head;
    const web = ['client', 'add', 'web', '--key', 'ca', '--may', 'sign', '--open'];
    const table: [words: string[], code: number, why: RegExp][] = [
      [
        [...create, '--primes-file', otherPrimes],
        3,
        /a key named ca exists already: to sign with, 2048 bits, id /,
      ],
      [
        ['key', 'create', 'ca', '--use', 'decrypt', '--primes-file', primes],
        3,
        /exists already: to sign with/,
      ],
      [[...create, '--bits', '2048'], 3, /a key named ca exists already/],
      [
        [...web, '--rate', '9/min'],
        3,
        /named web exists already, with the key in .*web\.key, but with other rights/,
      ],
      [
        [...web, '--out', bench.path('other.key')],
        3,
        /a client named web exists already; choose another name/,
      ],
      [['client', 'remove', 'nobody'], 3, /there is no client named nobody/],
      [['evict', 'nobody'], 3, /there is no member named nobody/],
      [['evict', 'd', 'b'], 3, /there is no member named d/],
      [['threshold', 'raise', '2', '--yes'], 3, /the threshold is 3 and can only be raised/],
    ];
    const results = await bench.runMany(table.map(([words]) => words));
    for (const [at, [words, code, why]] of table.entries())
      expect([results[at]?.code, results[at]?.stderr], words.join(' ')).toEqual([
        code,
        expect.stringMatching(why),
      ]);
    expect(group.head.lastOrder).toBe(lastOrder);
    expect(existsSync(bench.path('other.key'))).toBe(false);
  });
});
