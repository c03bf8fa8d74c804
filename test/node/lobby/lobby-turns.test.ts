/** Opening and closing the lobby, several at once: they take turns, and no node is left behind. */
import { expect, onTestFinished, test } from 'vitest';
import { LobbyAdmissions } from '../../../src/node/lobby/lobby-admissions.ts';
import { LobbyServer } from '../../../src/node/lobby/lobby-transport.ts';
import { silentLog } from '../../../src/node/log.ts';
import { HeldPorts } from '../../../src/node/network/held-ports.ts';
import { paperCluster } from '../../../src/simulation/world/paper.ts';
import { VirtualTime } from '../../../src/simulation/world/virtual-time.ts';
import { testIdentity } from '../network/loopback.ts';

async function lobby(): Promise<LobbyServer> {
  const ports = await HeldPorts.take('the lobby', ['/ip4/127.0.0.1/tcp/0']);
  await ports.release();
  const listen = ports.addresses;
  const handler = async (_peer: string, request: Uint8Array) => request;
  const server = new LobbyServer({ identity: await testIdentity(0), listen, handler });
  onTestFinished(() => server.stop());
  return server;
}
test('opened twice at once, it is open once', async () => {
  const server = await lobby();
  await Promise.all([server.start(), server.start()]);
  expect(server.addresses()).toHaveLength(1);
  await server.stop();
  // The port is free again: nothing of either opening is left.
  await server.start();
});

test('closed while it opens, it is closed', async () => {
  const server = await lobby();
  const opening = server.start();
  await server.stop();
  await opening;
  expect(server.addresses()).toEqual([]);
  await server.start();
  expect(server.addresses()).toHaveLength(1);
});

const lobbyOf = async (time: VirtualTime, isFounded = (): boolean => true): Promise<LobbyAdmissions> =>
  new LobbyAdmissions({
    genesis: paperCluster().genesis,
    identity: await testIdentity(0),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    clock: time.clock(),
    log: silentLog,
    admitted: () =>
      isFounded() ? { roster: [], epoch: 0, handOut: async () => null, isVacant: () => false } : null,
    onChange: () => {},
  });

test('a later invitation for a shorter time leaves the lobby open for the longer one', async () => {
  const time = new VirtualTime();
  const service = await lobbyOf(time);
  await service.open(60_000);
  await service.open(2_000);
  expect(await time.next()).toBe(true);
  expect(time.now()).toBe(60_000);
  await expect.poll(() => service.addresses()).toEqual([]);
  // What was over does not count any more.
  await service.open(2_000);
  expect(await time.next()).toBe(true);
  expect(time.now()).toBe(62_000);
});

test('before the founding no invitation closes the lobby; after it the longest does', async () => {
  const time = new VirtualTime();
  let founded = false;
  const service = await lobbyOf(time, () => founded);
  await service.open(null);
  await service.open(60_000);
  expect(await time.next()).toBe(false);
  founded = true;
  await service.open(10_000);
  expect(await time.next()).toBe(true);
  expect(time.now()).toBe(60_000);
});

test('an invitation that is given while the peer stops leaves no timer', async () => {
  const time = new VirtualTime();
  const service = await lobbyOf(time, () => false);
  const opening = service.open(60_000);
  await service.close();
  await opening;
  expect(service.addresses()).toEqual([]);
  expect(await time.next()).toBe(false);
});
