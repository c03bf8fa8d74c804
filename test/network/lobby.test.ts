import { afterEach, expect, test } from 'vitest';
import { peerIdOf } from '../../src/node/network/identity.ts';
import { LobbyServer, lobbyLimits, lobbyRequest } from '../../src/node/network/lobby.ts';
import { testIdentity } from './loopback.ts';

let server: LobbyServer | null = null;
afterEach(async () => {
  await server?.stop();
  server = null;
});

async function openLobby(
  handler: (peer: string, request: Uint8Array) => Promise<Uint8Array>,
): Promise<LobbyServer> {
  server = new LobbyServer({ identity: await testIdentity(0), listen: ['/ip4/127.0.0.1/tcp/0'], handler });
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
