/**
 * What a command says of an order that it has handed in, when the daemon goes away, the time is over, or
 * Ctrl-C is pressed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { DaemonError } from '../../src/node/errors.ts';
import { ProtocolError } from '../../src/protocol/records/errors.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { startCommand } from '../support/under-way.ts';
import { Bench } from './holdfast.ts';

describe('an order whose ending is unknown', () => {
  const bench = new Bench();
  let group: ServedGroup;
  const env = { HOLDFAST_HOME: bench.path('A'), CREDENTIALS_DIRECTORY: bench.credentials };
  const add = (name: string) => ['client', 'add', name, '--key', '*', '--may', 'sign', '--open'];
  const keyOf = (name: string) => bench.path(`A/clients/${name}.key`);

  const start = (args: readonly string[]) => startCommand(args, env);

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c']);
  });
  afterAll(() => bench.close());
  afterEach(() => group.calm());

  test('a founding that was not answered may have taken effect, and is found done when it is given again', async () => {
    const found = ['admit', '--yes', group.fingerprint('b'), group.fingerprint('c')];
    const honest = group.found.bind(group);
    const broken = vi.spyOn(group, 'found').mockImplementation(async (link) => {
      await honest(link);
      throw new Error('a bug in the daemon');
    });
    const { code, stderr } = await bench.run(found);
    broken.mockRestore();
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        'the founding was handed in and may have taken effect: holdfast status shows it',
      ),
    ]);
    expect(await bench.must(found)).toMatch(/^epoch 0: b, c admitted; .*; this was done already\n$/);
  });

  test('the daemon dies and comes back: the command goes on, and the order is carried out once', async () => {
    group.holds = true;
    const command = start(add('steady'));
    await command.says('waiting for the group');
    const key = readFileSync(keyOf('steady'));
    await bench.stopServing();
    await command.says('the daemon went away; waiting up to 60 s');
    await bench.serveAgain();
    await command.says('the daemon is back');
    const { lastOrder } = group.head;
    await group.calm();
    const { code, stdout } = await command.end();
    expect([code, stdout]).toEqual([0, expect.stringMatching(/client steady may sign with \*/)]);
    expect(group.head.lastOrder).toBe(lastOrder + 1);
    expect(readFileSync(keyOf('steady')).equals(key)).toBe(true);
  });

  test('the daemon stays away: exit code 5, the order may still take effect, and the same command then finds it done', async () => {
    group.holds = true;
    const command = start([...add('later'), '--timeout', '3s']);
    await command.says('waiting for the group');
    await bench.stopServing();
    const { code, stderr } = await command.end();
    const number = group.head.lastOrder + 1;
    expect(code).toBe(5);
    expect(stderr).toMatch(
      new RegExp(
        `\nholdfast: the daemon has stopped; order ${number} was handed in and may still take effect: holdfast client list shows whether it has; start it again with: holdfast start\n$`,
      ),
    );
    const key = readFileSync(keyOf('later'));
    await bench.serveAgain();
    await group.calm();
    const again = await bench.must(add('later'));
    expect(again).toMatch(
      new RegExp(`^epoch ${group.head.epoch}: client later may .*; this was done already\n$`),
    );
    expect(readFileSync(keyOf('later')).equals(key)).toBe(true);
  });

  test('given again before it was carried out, it hands in the same client with the key that is there', async () => {
    group.holds = true;
    const { code, stderr } = await bench.run([...add('twice'), '--timeout', '4s']);
    expect([code, stderr]).toEqual([4, expect.stringContaining('was handed in and may still take effect')]);
    const key = readFileSync(keyOf('twice'));
    const other = await bench.run(add('twice').filter((word) => word !== '--open'));
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('is open: give --open')]);
    group.holds = false;
    expect(await bench.must(add('twice'))).toMatch(/client twice may sign/);
    expect(readFileSync(keyOf('twice')).equals(key)).toBe(true);
    // Of a client that was removed since, nobody uses the key again by accident.
    await bench.must(['client', 'remove', 'twice']);
    const stale = await bench.run(add('twice'));
    expect([stale.code, stale.stderr]).toEqual([
      1,
      expect.stringContaining('is not listed; remove it, or name'),
    ]);
  });

  test('a client whose order is refused leaves no key behind; one that may still be listed keeps it', async () => {
    const refusing = vi
      .spyOn(group, 'submitOrder')
      .mockRejectedValue(new ProtocolError('bad-order', 'it does not fit'));
    const refused = await bench.run(add('refused'));
    expect([refused.code, refused.stderr]).toEqual([
      3,
      expect.stringMatching(/is removed again.*\n.*it does not fit\n$/),
    ]);
    expect(existsSync(keyOf('refused'))).toBe(false);
    refusing.mockRejectedValue(new Error('a bug in the daemon'));
    const broken = await bench.run(add('kept'));
    refusing.mockRestore();
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringContaining('may still take effect')]);
    expect(existsSync(keyOf('kept'))).toBe(true);
  });

  test('a key that is decided while the command looks at the chain is found created', async () => {
    const { epoch } = group.head;
    const [deal, links] = [group.submitDealings.bind(group), group.links.bind(group)];
    // After its dealings the command is shown the chain once as it was before them.
    let stale = false;
    const dealing = vi.spyOn(group, 'submitDealings').mockImplementation(async (packets) => {
      await deal(packets);
      stale = true;
    });
    const showing = vi.spyOn(group, 'links').mockImplementation(async (from) => {
      if (!stale) return links(from);
      stale = false;
      await group.until(() => group.head.epoch > epoch);
      return (await links(from)).filter(({ value }) => value.epoch <= epoch);
    });
    const create = ['key', 'create', 'raced', '--use', 'sign', '--primes-file', bench.primes(1)];
    const { code, stdout, stderr } = await bench.run([...create, '--client', 'raced', '--open']);
    dealing.mockRestore();
    showing.mockRestore();
    expect([code, stdout.toString()], stderr).toEqual([
      0,
      expect.stringMatching(/key raced, 2048 bits.*\nclient raced may sign/),
    ]);
    expect(existsSync(keyOf('raced'))).toBe(true);
  });

  test('what follows an order that was carried out does not make it a failure', async () => {
    await bench.must(['key', 'create', 'ca', '--use', 'sign', '--primes-file', bench.primes()]);
    const failing = vi.spyOn(group, 'epochs').mockImplementation(() => {
      throw new DaemonError('unwritable', 'the disk is full');
    });
    const { code, stderr } = await bench.run(['key', 'destroy', 'ca', '--yes', 'ca']);
    failing.mockRestore();
    const { epoch, lastOrder } = group.head;
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`the disk is full; order ${lastOrder} was carried out in epoch ${epoch}\n`),
    ]);
  });

  test('a key whose dealer is killed leaves an order without its dealing; created again, it waits until the group goes on', async () => {
    const create = [
      'key',
      'create',
      'late',
      '--use',
      'sign',
      '--primes-file',
      bench.primes(2),
      '--client',
      'late',
      '--open',
    ];
    const pending = vi
      .spyOn(group, 'submitOrder')
      .mockRejectedValueOnce(
        new DaemonError('refused', 'another order is pending', { code: 'order-pending' }),
      );
    onTestFinished(() => pending.mockRestore());
    const command = start(create);
    await command.says('is pending; waiting until the group has carried it out, or goes on without it');
    await group.refreshed();
    const { code, stdout, stderr } = await command.end();
    expect([code, stdout], stderr).toEqual([
      0,
      expect.stringMatching(/key late, 2048 bits.*\nclient late may sign/),
    ]);
  });

  test('Ctrl-C while a key is created says by which id it is known, should the group have it', async () => {
    await group.silence('b', 'c');
    const command = start(['key', 'create', 'third', '--use', 'sign', '--primes-file', bench.primes(3)]);
    await command.says('1 of 3 attend');
    command.kill('SIGINT');
    const { code, stderr } = await command.end();
    await group.wake();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /\nholdfast: stopped waiting; order \d+ was handed in and may still take effect: holdfast key list shows whether it has, by the id [0-9a-f]{16}…; the key is dropped here, .*\n$/,
    );
  });
});
