/** Commands that wait for the group, and the questions that they ask a person at a terminal. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openOperatorFile } from '../../src/cli/key-files.ts';
import { untilDone } from '../../src/cli/waiting.ts';
import type { ApiClient } from '../../src/client/api-client.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { runOnTerminal } from '../support/terminal.ts';
import { Bench, passphrase } from './holdfast.ts';

describe('a command that waits for the group', () => {
  const bench = new Bench();
  let group: ServedGroup;
  const env = { HOLDFAST_HOME: bench.path('A'), CREDENTIALS_DIRECTORY: bench.credentials };
  const typed = { HOLDFAST_HOME: bench.path('A'), CREDENTIALS_DIRECTORY: bench.path('nowhere') };

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c', 'd']);
    await bench.must(['admit', '--yes', ...['b', 'c', 'd'].map((name) => group.fingerprint(name))]);
    await bench.must(['client', 'add', 'web', '--key', '*', '--may', 'sign', '--open']);
  });
  afterAll(() => bench.close());
  afterEach(() => group.calm());

  test('gives up after --timeout with exit code 4, names who is missing, and leaves the order handed in', async () => {
    group.holds = true;
    await group.silence('d');
    const { code, stderr } = await bench.run(['evict', 'd', '--yes', 'd', '--timeout', '4s']);
    expect(code).toBe(4);
    expect(stderr).toMatch(
      /^holdfast: the group has not carried it out yet; missing: d; order 2 was handed in and may still take effect: holdfast peers shows whether it has$/m,
    );
    await group.calm();
    expect(group.head.roster.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  test('says once, after some seconds, for whom it waits', async () => {
    vi.useFakeTimers();
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const { promise: done, resolve: carryOut } = Promise.withResolvers<string>();
    const daemon = { status: async () => ({ change: { missing: ['c', 'd'] } }), until: () => done };
    const waits = untilDone(daemon as unknown as ApiClient, async () => null, {
      ...{ timeoutMs: undefined, begins: 'waiting', stopped: () => '', late: () => '' },
    });
    await vi.advanceTimersByTimeAsync(4999);
    expect(written).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(written.mock.calls.map(([text]) => text)).toEqual([
      expect.stringContaining('waiting'),
      expect.stringContaining('still waiting; missing: c, d'),
    ]);
    carryOut('done');
    expect(await waits).toBe('done');
    written.mockRestore();
    vi.useRealTimers();
  });

  test('ends in one line on Ctrl-C, and the order stays handed in', async () => {
    group.holds = true;
    const { code, shown } = await runOnTerminal(['client', 'remove', 'web'], env, [
      { after: 'waiting for the group', keys: '\u0003' },
    ]);
    expect(code).toBe(1);
    expect(shown).toMatch(
      /\nholdfast: stopped waiting; order 3 was handed in and may still take effect: holdfast client list shows whether it has\n$/,
    );
    await group.calm();
    expect(group.head.clients).toEqual([]);
  });

  test('a search for primes ends at once on Ctrl-C, and nothing is handed in', async () => {
    const { code, shown } = await runOnTerminal(
      ['key', 'create', 'big', '--use', 'sign', '--bits', '4096'],
      env,
      [{ after: 'searching two safe primes', keys: '\u0003' }],
    );
    expect(code).toBe(1);
    expect(shown).toMatch(/\nholdfast: stopped; no key was made and nothing is handed in\n$/);
  });

  test('a raised threshold: what it costs is shown first, and anything but yes changes nothing', async () => {
    const { epoch } = group.head;
    const { code, shown } = await runOnTerminal(['threshold', 'raise', '3'], env, [
      { after: 'lowered again [y/N] ', keys: 'yep\r' },
    ]);
    expect(code).toBe(3);
    expect(shown).toMatch(
      /^from the next epoch on: 3-of-3: signing survives 0 dead peers; a refresh needs all 3\nwarning: no member to spare after this: signing will need 3 of 3 .*\n.*raise it\? It can never be lowered again \[y\/N\] .*yep\nholdfast: nothing is changed\n$/,
    );
    expect(group.head.epoch).toBe(epoch);
  });

  test('a threshold is not raised to what the roster, or those who are up now, cannot carry', async () => {
    const { epoch } = group.head;
    await group.silence('c');
    const [over, few] = await Promise.all([
      bench.run(['threshold', 'raise', '4', '--yes']),
      bench.run(['threshold', 'raise', '3', '--yes']),
    ]);
    expect([over.code, over.stderr]).toEqual([
      3,
      'holdfast: 3 members cannot carry a threshold of 4; admit more first\n',
    ]);
    expect([few.code, few.stderr]).toEqual([
      4,
      'holdfast: a threshold of 3 needs 3 members that can attend, and 2 of 3 can; c cannot be reached; raise it again when they can\n',
    ]);
    expect(group.head.epoch).toBe(epoch);
  });

  test('asks the daemon of the home where HOLDFAST_API names another, and says so', async () => {
    const { code, stderr } = await bench.run(['client', 'list'], {
      env: { HOLDFAST_API: 'http://127.0.0.1:9' },
    });
    expect([code, stderr]).toEqual([
      0,
      `warning: HOLDFAST_API is not for holdfast client list: it asks the daemon of ${bench.path('A')}\n`,
    ]);
  });

  test('a new passphrase is typed twice and never shown; a slip is taken back', async () => {
    const home = bench.path('B');
    const listen = '/ip4/127.0.0.1/tcp/0';
    const init = [...['--home', home, '--peer', 'b', '--listen', listen, '--lobby-listen', listen]];
    const args = [
      'cluster',
      'init',
      '--name',
      'typed',
      '--threshold',
      '2',
      '--passphrase-work',
      '10',
      ...init,
    ];
    const first = { after: 'passphrase for the new operator key: ', keys: 'rosebxx\u007f\bud\r' };
    const differs = await runOnTerminal(args, typed, [
      first,
      { after: 'the same again: ', keys: 'rosebuds\r' },
    ]);
    expect(differs).toMatchObject({ code: 2, shown: expect.stringContaining('the two passphrases differ') });
    const same = await runOnTerminal(args, typed, [first, { after: 'the same again: ', keys: 'rosebud\r' }]);
    expect(same).toMatchObject({ code: 0, shown: expect.stringContaining('cluster typed') });
    for (const { shown } of [differs, same]) expect(shown).not.toMatch(/ros|ud\b/);
    const { seed } = await openOperatorFile(`${home}/operator.key`, 'rosebud');
    expect(seed).toHaveLength(32);
  });

  test('an operator who stops at the passphrase has signed nothing', async () => {
    const order = bench.path('order');
    await bench.must(['client', 'add', 'x', '--key', '*', '--may', 'sign', '--open', '--order-file', order]);
    const written = readFileSync(order);
    const { code, shown } = await runOnTerminal(['order', 'sign', order], typed, [
      { after: 'sign it? [y/N] ', keys: 'y\r' },
      { after: 'operator.key: ', keys: `${passphrase}\u0003` },
    ]);
    expect(code).toBe(1);
    expect(shown).toMatch(/\nholdfast: stopped; nothing was done\n$/);
    expect(shown).not.toContain(passphrase);
    expect(readFileSync(order).equals(written)).toBe(true);
  });
});
