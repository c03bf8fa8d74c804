/** Real daemons, and two of three operators, the second of whom signs at another machine. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommand } from '../../src/lab/command.ts';
import { DaemonProcess } from '../../src/lab/daemon-process.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';

test('operators found a cluster, give it a key, and list a client with an order that goes from one to the other', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-operators-'));
  const peers = ['a', 'b', 'c'].map((name) => new DaemonProcess(name, join(dir, name)));
  const [a, b, c] = peers as [DaemonProcess, DaemonProcess, DaemonProcess];
  const [x, y, z] = ['x', 'y', 'z'].map((name) => join(dir, `${name}.key`)) as [string, string, string];
  const secret = join(dir, 'passphrase');
  writeFileSync(secret, 'of all three\n', { mode: 0o600 });
  const as = (...files: string[]): string[] => [
    ...files.flatMap((file) => ['--operator', file]),
    ...['--passphrase-file', secret],
  ];
  const must = async (at: DaemonProcess, args: readonly string[], input = ''): Promise<Buffer> => {
    const { code, stdout, stderr } = await runCommand(args, { env: { HOLDFAST_HOME: at.home }, input });
    if (code !== 0) throw new Error(`holdfast ${args.join(' ')} at ${at.name} ended with ${code}: ${stderr}`);
    return stdout;
  };
  const until = <T>(at: DaemonProcess, check: () => Promise<T | null>): Promise<T> =>
    at.api.until(check, AbortSignal.timeout(60_000));
  try {
    const listen = '/ip4/127.0.0.1/tcp/0';
    const peer = [
      '--listen',
      listen,
      '--lobby-listen',
      listen,
      '--mdns',
      'off',
      '--set',
      'minimumIntervalMs=0',
    ];
    const cluster = ['--name', 'three', '--threshold', '2', '--operators', `2/${x},${y},${z}`];
    const work = ['--passphrase-file', secret, '--passphrase-work', '10'];
    const invitation = await must(a, ['cluster', 'init', '--peer', 'a', ...cluster, ...work, ...peer]);
    for (const other of [b, c])
      await must(other, ['join', invitation.toString('utf8').trim(), '--name', other.name, ...peer]);
    await Promise.all(peers.map((one) => one.start()));
    const fingerprints = await until(a, async () => {
      const waiting = (await a.api.peers()).filter(({ state, self }) => state === 'waiting' && !self);
      return waiting.length === 2 ? waiting.map(({ fingerprint }) => fingerprint ?? '') : null;
    });
    await must(a, ['admit', '--yes', ...fingerprints, ...as(x, y)]);
    for (const one of peers)
      await until(one, async () => ((await one.api.status()).state === 'member' ? true : null));

    const primes = join(dir, 'primes');
    writeFileSync(primes, JSON.stringify(readyPrimes(2048)), { mode: 0o600 });
    await must(a, ['key', 'create', 'ca', '--use', 'sign', '--primes-file', primes, ...as(z, x)]);

    const order = join(dir, 'order');
    const key = join(dir, 'ci.key');
    const add = ['client', 'add', 'ci', '--key', 'ca', '--may', 'sign', '--open', '--out', key];
    await must(a, [...add, '--order-file', order, ...as(x)]);
    const early = await runCommand(['order', 'submit', order], { env: { HOLDFAST_HOME: c.home } });
    expect([early.code, early.stderr]).toEqual([3, expect.stringContaining('holdfast order sign')]);
    expect((await must(b, ['order', 'sign', order, '--yes', ...as(y)])).toString()).toContain(
      '2 of 2 needed',
    );
    expect((await must(c, ['order', 'submit', order])).toString()).toContain('carried out: list client ci');
    expect((await must(a, ['order', 'submit', order])).toString()).toContain('this was done already');

    const signed = await must(c, ['sign', '--key', 'ca', '--client', key, '--timeout', '60s'], 'message');
    expect(signed).toHaveLength(256);
  } finally {
    await Promise.all(peers.map((one) => one.kill()));
    rmSync(dir, { recursive: true, force: true });
  }
});
