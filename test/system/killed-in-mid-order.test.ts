/** A daemon that is killed while a command waits for its order: nothing is lost, done twice, or called a failure. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientArguments, Lab } from '../../src/lab/lab.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { startCommand } from '../support/under-way.ts';

const patienceMs = 120_000;

describe('kill -9 of the daemon in mid-order', { timeout: patienceMs }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ peers: 3, threshold: 2, settings: { dealingWindowMs: 500 } });
    await lab.createKey('ca', readyPrimes(2048));
  }, patienceMs);
  afterAll(() => lab?.close());

  const start = (args: readonly string[]) =>
    startCommand(args, { HOLDFAST_HOME: lab.peer('a').home, CREDENTIALS_DIRECTORY: lab.credentials });
  const listed = async () => {
    const { clients } = JSON.parse((await lab.must('a', ['client', 'list', '--json'])).toString());
    return clients.map(({ name }: { name: string }) => name).sort();
  };
  const add = (name: string) => ['client', 'add', name, '--key', 'ca', '--may', 'sign', '--open'];

  test('it comes back: the command goes on, to its end', async () => {
    // 2-of-3 needs all three: while one is frozen the order stays undecided.
    lab.pause('c');
    const command = start(add('steady'));
    await command.says('waiting for the group');
    await lab.kill('a');
    await command.says('the daemon went away');
    await lab.start('a');
    lab.resume('c');
    const { code, stdout, stderr } = await command.end();
    expect([code, stdout], stderr).toEqual([0, expect.stringMatching(/: client steady may sign with ca/)]);
    expect(await listed()).toEqual(['ca', 'steady']);
  });

  test('it stays away: exit code 5 and what is known; given again, the command finds it done', async () => {
    lab.pause('c');
    const command = start([...add('later'), '--timeout', '10s']);
    await command.says('waiting for the group');
    await lab.kill('a');
    const { code, stderr } = await command.end();
    expect(code).toBe(5);
    expect(stderr).toMatch(
      /\nholdfast: the daemon has stopped; order \d+ was handed in and may still take effect: holdfast client list shows whether it has; start it again with: holdfast start\n$/,
    );
    const file = join(lab.peer('a').home, 'clients', 'later.key');
    const key = readFileSync(file, 'utf8');
    await lab.start('a');
    lab.resume('c');
    await lab.until('a', async (api) => {
      const { epoch } = await api.status();
      const [link] = await api.links(epoch ?? 0);
      return link?.value.clients.some(({ name }) => name === 'later') ? true : null;
    });
    const again = (await lab.must('a', add('later'))).toString();
    expect(again).toMatch(/^epoch \d+: client later may sign with ca.*; this was done already\n$/);
    expect(readFileSync(file, 'utf8')).toBe(key);
    expect(await listed()).toEqual(['ca', 'later', 'steady']);
  });

  test('while a key is created: its dealer deals to the daemon that comes back', async () => {
    const primes = join(lab.dir, 'mid.primes');
    writeFileSync(primes, JSON.stringify(readyPrimes(2048, 2)), { mode: 0o600 });
    lab.pause('c');
    const create = ['key', 'create', 'mid', '--use', 'sign', '--primes-file', primes];
    const command = start([...create, ...clientArguments('mid')]);
    await command.says('2 of 3 attend');
    await lab.kill('a');
    await command.says('the daemon went away');
    await lab.start('a');
    lab.resume('c');
    const { code, stdout, stderr } = await command.end();
    expect([code, stdout], stderr).toEqual([
      0,
      expect.stringMatching(/: key mid, 2048 bits, .*\nclient mid may/),
    ]);
    expect(await lab.sign('b', 'mid', 'message')).toHaveLength(256);
    const again = (await lab.must('a', [...create, ...clientArguments('mid')])).toString();
    expect(again).toContain('; this was done already');
  });
});
