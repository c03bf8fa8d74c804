/**
 * A key's dealer that dies leaves an order whose dealing never comes: the group goes on without it, and the
 * key is created again.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { clientArguments, Lab } from '../../src/lab/lab.ts';
import { refreshAmong } from '../../src/lab/scenario.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { startCommand } from '../support/under-way.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.create({ peers: 3, threshold: 2, settings: { dealingWindowMs: 500 } });
});
afterAll(() => lab?.close());

test('a key whose dealer was killed is created again by the same command, with the client that it began with', async () => {
  const env = { HOLDFAST_HOME: lab.peer('a').home, CREDENTIALS_DIRECTORY: lab.credentials };
  const create = (first: number) => {
    const primes = join(lab.dir, `${first}.primes`);
    writeFileSync(primes, JSON.stringify(readyPrimes(2048, first)), { mode: 0o600 });
    return ['key', 'create', 'ca', '--use', 'sign', '--primes-file', primes, ...clientArguments('ca')];
  };
  // Each has heard both others: a member that has just started takes part only then.
  await refreshAmong(lab, 'a');
  lab.pause('c');
  const dealer = startCommand(create(0), env);
  await dealer.says('2 of 3 attend');
  dealer.kill('SIGKILL');
  await dealer.end();
  lab.resume('c');
  expect(existsSync(lab.clientFile('ca'))).toBe(true);
  // Another key: what the first dealer held died with it.
  const again = startCommand(create(2), env);
  await again.says('is pending; waiting until the group has carried it out, or goes on without it');
  const { code, stdout, stderr } = await again.end();
  expect([code, stdout], stderr).toEqual([
    0,
    expect.stringMatching(/: key ca, 2048 bits, .*\nclient ca may sign/),
  ]);
  expect(await lab.sign('b', 'ca', 'message')).toHaveLength(256);
});
