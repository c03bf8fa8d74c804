import { createHash } from 'node:crypto';
import { noise } from '@chainsafe/libp2p-noise';
import { tcp } from '@libp2p/tcp';
import { byteStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2p } from 'libp2p';
import { afterEach, expect, test } from 'vitest';
import { protocolIds } from '../../src/node/network/constants.ts';
import { identityFromSeed } from '../../src/node/network/identity.ts';
import { Loopback, memberOf } from './loopback.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

const createStranger = async (index: number): Promise<Libp2p> =>
  createLibp2p({
    privateKey: await identityFromSeed(
      new Uint8Array(createHash('sha256').update(`stranger ${index}`).digest()),
    ),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  });

test('a thousand dials by a hundred strangers get no stream, no message and no entry in the peer store', async () => {
  const a = await loopback.start(0, []);
  const b = await loopback.start(1, []);
  for (const { transport } of [a, b]) await transport.setMembers([memberOf(a), memberOf(b)]);
  await loopback.authenticated([a, b]);
  const target = a.transport.addresses().map((address) => multiaddr(address));
  const events = a.recorder.events.length;
  let answered = 0;
  const intrude = async (stranger: Libp2p, protocol: string): Promise<void> => {
    const signal = AbortSignal.timeout(5_000);
    try {
      const connection = await stranger.dial(target, { signal, force: true });
      const stream = await connection.newStream(protocol, { signal });
      const bytes = byteStream(stream);
      await bytes.write(new Uint8Array(64), { signal });
      if ((await bytes.read({ signal })) !== null) answered += 1;
    } catch {
      // refused, as it should be
    }
  };
  const protocols = [...Object.values(protocolIds), '/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/meshsub/1.1.0'];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next; index < 100; index = next) {
      next += 1;
      const stranger = await createStranger(index);
      for (let dial = 0; dial < 10; dial += 1) await intrude(stranger, protocols[dial % protocols.length]!);
      await stranger.stop();
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);

  expect(answered).toBe(0);
  expect(a.recorder.events.length).toBe(events);
  expect(a.recorder.received).toEqual([]);
  expect(a.transport.connected()).toEqual([b.transport.peerId]);
  expect((await a.transport.remembered()).filter((peer) => peer !== a.transport.peerId)).toEqual([
    b.transport.peerId,
  ]);
});

test('a removed member leaves nothing in the peer store', async () => {
  const a = await loopback.start(0, []);
  const b = await loopback.start(1, []);
  for (const { transport } of [a, b]) await transport.setMembers([memberOf(a), memberOf(b)]);
  await loopback.authenticated([a, b]);
  expect(await a.transport.remembered()).toContain(b.transport.peerId);
  await a.transport.setMembers([memberOf(a)]);
  await loopback.until(() => b.transport.connected().length === 0);
  expect(await a.transport.remembered()).not.toContain(b.transport.peerId);
});
