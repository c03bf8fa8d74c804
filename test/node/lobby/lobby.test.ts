import type { Connection } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import { afterEach, expect, test, vi } from 'vitest';
import { peerIdOf } from '../../../src/node/home/identity.ts';
import {
  LobbyServer,
  type LobbyServerOptions,
  lobbyLimits,
  lobbyRequest,
} from '../../../src/node/lobby/lobby-transport.ts';
import { protocolIds } from '../../../src/node/network/constants.ts';
import { rounds } from '../../support/rounds.ts';
import { testIdentity } from '../network/loopback.ts';
import { RawMember } from '../network/raw-member.ts';

let server: LobbyServer | null = null;
afterEach(async () => {
  await server?.stop();
  server = null;
});

async function openLobby(
  handler: (peer: string, request: Uint8Array) => Promise<Uint8Array>,
  more: Partial<LobbyServerOptions> = {},
): Promise<LobbyServer> {
  const listen = ['/ip4/127.0.0.1/tcp/0'];
  server = new LobbyServer({ identity: await testIdentity(0), listen, handler, ...more });
  await server.start();
  return server;
}
const ask = async (lobby: LobbyServer, request: Uint8Array, visitor = 1, addresses = lobby.addresses()) =>
  lobbyRequest({
    identity: await testIdentity(visitor),
    addresses,
    request,
    signal: new AbortController().signal,
  });

test('a visitor is answered, and the lobby knows its proven identity', async () => {
  const lobby = await openLobby(async (peer, request) =>
    new TextEncoder().encode(`${peer} said ${request.join()}`),
  );
  const answer = await ask(lobby, Uint8Array.of(1, 2, 3));
  expect(new TextDecoder().decode(answer)).toBe(`${peerIdOf(await testIdentity(1))} said 1,2,3`);
});

test('an answer of megabytes arrives; a request over the bound is refused on both sides', async () => {
  const lobby = await openLobby(async () => new Uint8Array(3_000_000).fill(7));
  expect((await ask(lobby, Uint8Array.of(1))).length).toBe(3_000_000);
  const large = new Uint8Array(lobbyLimits.requestBytesMax + 1);
  await expect(ask(lobby, large)).rejects.toMatchObject({ code: 'too-large' });
});

test('a refused request tells the visitor nothing about why', async () => {
  const lobby = await openLobby(() => Promise.reject(new Error('the inner reason')));
  const failure = await ask(lobby, Uint8Array.of(1)).catch((err: unknown) => err);
  expect(failure).toMatchObject({ code: 'refused' });
  expect(String(failure)).not.toContain('inner reason');
});

test('a closed lobby, and one with another identity, are not reached', async () => {
  const lobby = await openLobby(async (_peer, request) => request);
  const [address] = lobby.addresses();
  const other = peerIdOf(await testIdentity(2));
  const impostor = [address!.replace(lobby.peerId, other)];
  await expect(ask(lobby, Uint8Array.of(1), 1, impostor)).rejects.toMatchObject({ code: 'not-connected' });
  await lobby.stop();
  expect(lobby.addresses()).toEqual([]);
  await expect(ask(lobby, Uint8Array.of(1), 1, [address!])).rejects.toMatchObject({ code: 'not-connected' });
});

test('it opens again after it was closed', async () => {
  const lobby = await openLobby(async (_peer, request) => request);
  await lobby.stop();
  await lobby.start();
  expect(await ask(lobby, Uint8Array.of(5))).toEqual(Uint8Array.of(5));
});

/** One request on a connection that is there already; whether it was answered. */
async function asked(connection: Connection): Promise<boolean> {
  const signal = AbortSignal.timeout(10_000);
  try {
    const stream = await connection.newStream(protocolIds.lobby, { signal });
    const frames = lpStream(stream);
    await frames.write(Uint8Array.of(1), { signal });
    const answer = await frames.read({ signal });
    await stream.close({ signal });
    return answer.length > 0;
  } catch {
    return false;
  }
}

const { requests, requestsOfPeer } = lobbyLimits;
const most = requests.atOnce / requestsOfPeer.atOnce;
/** How many of a visitor's requests in a row are answered before one is not; so many at most. */
async function answeredInARow(connection: Connection): Promise<number> {
  let count = 0;
  while (count <= requestsOfPeer.atOnce && (await asked(connection))) count += 1;
  return count;
}
const insistent = rounds({ usually: 1, all: most });

test(`${insistent} that ask without end are answered so often at once; another is answered unless all have used up what there is`, async () => {
  const lobby = await openLobby(async (_peer, request) => request, { nowMs: () => 0 });
  for (let number = 0; number <= insistent; number += 1) {
    const visitor = await RawMember.start(await testIdentity(30 + number));
    try {
      const connection = await visitor.dial(lobby.addresses());
      if (number < insistent) expect(await answeredInARow(connection)).toBe(requestsOfPeer.atOnce);
      else expect(await asked(connection)).toBe(insistent < most);
    } finally {
      await visitor.stop();
    }
  }
});

test('a lobby that was visited while the clock was ahead is not shut when the clock is set right', async () => {
  const clock = vi.spyOn(Date, 'now');
  const visitor = await RawMember.start(await testIdentity(1));
  try {
    const real = Date.now();
    clock.mockImplementation(() => real + 2 * 3_600_000);
    let nowMs = 0;
    const lobby = await openLobby(async (_peer, request) => request, { nowMs: () => nowMs });
    const connection = await visitor.dial(lobby.addresses());
    expect(await answeredInARow(connection)).toBe(requestsOfPeer.atOnce);
    clock.mockImplementation(() => real);
    nowMs += 60_000;
    expect(await answeredInARow(connection)).toBe(requestsOfPeer.atOnce);
  } finally {
    clock.mockRestore();
    await visitor.stop();
  }
});

test('no more than so many visitors are connected at once', async () => {
  const lobby = await openLobby(async (_peer, request) => request);
  const visitor = await RawMember.start(await testIdentity(1));
  try {
    const connections: Connection[] = [];
    let refused = 0;
    for (let count = 0; count < lobbyLimits.connectionsMax + 2; count += 1)
      await visitor.dial(lobby.addresses()).then(
        (connection) => connections.push(connection),
        () => {
          refused += 1;
        },
      );
    expect(refused).toBe(2);
    expect(connections.length).toBe(lobbyLimits.connectionsMax);
    expect((await Promise.all(connections.map(asked))).every(Boolean)).toBe(true);
  } finally {
    await visitor.stop();
  }
});
