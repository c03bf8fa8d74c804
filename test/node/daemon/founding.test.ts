/**
 * Where daemons listen is theirs from their start, and a founding that fails in one of them is told and tried
 * again.
 */
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { serveApi } from '../../../src/api/server.ts';
import { type Daemon, startDaemon } from '../../../src/node/daemon/daemon.ts';
import { openHome } from '../../../src/node/home/home.ts';
import { silentLog } from '../../../src/node/log.ts';
import { Libp2pTransport } from '../../../src/node/network/libp2p-transport.ts';
import { ListenError } from '../../../src/node/network/listen-error.ts';
import { Bench } from '../../cli/holdfast.ts';

const place = ['/ip4/127.0.0.1/tcp/0', '--lobby-listen', '/ip4/127.0.0.1/tcp/0', '--set', 'mdns=false'];

let bench: Bench;
const ends: Array<() => Promise<void>> = [];
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const end of ends.splice(0).reverse()) await end();
  await bench.close();
});

/** Two homes of one new cluster; b's fingerprint. */
async function homes(): Promise<string> {
  const { stdout } = await bench.init(['--set', 'mdns=false']);
  const joined = await bench.must([
    'join',
    stdout.trim(),
    '--home',
    bench.path('B'),
    '--name',
    'b',
    '--listen',
    ...place,
  ]);
  return joined.split('  ')[0] as string;
}

async function start(name: string): Promise<Daemon> {
  const home = openHome(bench.path(name));
  const daemon = await startDaemon({ home, settings: home.readSettings(), log: silentLog });
  ends.push(() => daemon.stop());
  return daemon;
}

async function until(daemon: Daemon, holds: () => boolean): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve) => {
    const stop = daemon.onChange(() => {
      if (!holds()) return;
      stop();
      resolve();
    });
  });
}

const listenAt = (port: number) =>
  new Promise<string>((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? ''));
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve('free')));
  });

test('from its start on nobody else gets the port of a peer that waits for admission', async () => {
  await homes();
  const [address] = openHome(bench.path('B')).readSettings().listen;
  const port = Number(address?.split('/').at(-1));
  const before = createServer();
  await new Promise<void>((resolve) => before.listen({ port, host: '127.0.0.1' }, resolve));
  await expect(start('B')).rejects.toThrow(`${address}: another program listens there`);
  await new Promise((resolve) => before.close(resolve));
  const daemon = await start('B');
  expect(await listenAt(port)).toBe('EADDRINUSE');
  await daemon.stop();
  expect(await listenAt(port)).toBe('free');
});

test('a founding that fails at the first member, or at another one, is told and tried again', async () => {
  const fingerprint = await homes();
  const [a, b] = [await start('A'), await start('B')];
  const { socketFile } = openHome(bench.path('A'));
  const api = await serveApi({ daemon: a, socketFile, log: silentLog });
  ends.push(() => api.close());
  await until(a, () => a.peers().some(({ name }) => name === 'b'));

  const trouble = new ListenError('the daemon', '/ip4/127.0.0.1/tcp/1', { code: 'EADDRINUSE' });
  const failing = new Set([a.peer]);
  const { start: really } = Libp2pTransport.prototype;
  vi.spyOn(Libp2pTransport.prototype, 'start').mockImplementation(function (this: Libp2pTransport, ...args) {
    return failing.delete(this.peerId) ? Promise.reject(trouble) : really.apply(this, args);
  });
  const admit = () => bench.run(['admit', 'b', '--yes', fingerprint]);
  const failed = await admit();
  expect(failed.stderr).toContain(`the cluster is not founded: ${trouble.message}`);
  expect(failed.code).toBe(1);
  expect([a, b].map((daemon) => daemon.status().state)).toEqual(new Array(2).fill('waiting-for-admission'));

  failing.add(b.peer);
  const told: string[] = [];
  b.onChange(() => told.push(...b.status().problems.map(({ what, remedy }) => `${what} ${remedy}`)));
  const founded = await admit();
  expect([founded.code, founded.stderr]).toEqual([0, expect.not.stringContaining('not up')]);
  expect(told).toContain(
    `This peer waits for admission (admitted, but it cannot begin: ${trouble.message}). Mend that: it tries again by itself.`,
  );
  expect([a, b].map((daemon) => daemon.status().state)).toEqual(new Array(2).fill('member'));
});
