/**
 * §7.6 on real sockets: whoever sends more than its quota is cut off, for longer each time, and nobody else
 * notices.
 */
import type { Connection, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { peerIdOf } from '../../../src/node/home/identity.ts';
import { gossipTopic, networkLimits, protocolIds } from '../../../src/node/network/constants.ts';
import { quotas } from '../../../src/node/network/quotas.ts';
import type { CutOff } from '../../../src/node/network/transport.ts';
import { Loopback, memberOf, type TestPeer, testIdentity } from './loopback.ts';
import { closed, pour, prefixed, RawMember, write } from './raw-member.ts';

const loopback = new Loopback();
let honest: TestPeer;
let friend: TestPeer;
let rogue: RawMember;
let connection: Connection;

/** Two honest members, and one with a member's identity and epoch key that speaks raw libp2p. */
beforeEach(async () => {
  honest = await loopback.start(0, []);
  friend = await loopback.start(1, []);
  const identity = await testIdentity(5);
  const members = [memberOf(honest), memberOf(friend), { peer: peerIdOf(identity), addresses: [] }];
  for (const { transport } of [honest, friend]) await transport.setMembers(members);
  await loopback.until(() =>
    [honest, friend].every(({ transport }) => transport.authenticated().length === 1),
  );
  rogue = await RawMember.start(identity);
  connection = await rogue.dial(honest.transport.addresses());
  await rogue.prove(connection, 'c0ffee', friend.recorder);
});
afterEach(async () => {
  await rogue.stop();
  await loopback.close();
});

const cutOff = (): CutOff | undefined =>
  honest.transport.cutOffs().find(({ peer }) => peer === rogue.node.peerId.toString());

async function expectOthersServed(): Promise<void> {
  const request = Uint8Array.of(1, 2, 3);
  const { signal } = new AbortController();
  expect(await friend.transport.request(honest.transport.peerId, request, { signal })).toEqual(request);
  expect(honest.transport.cutOffs().map(({ peer }) => peer)).not.toContain(friend.transport.peerId);
}

/** libp2p's own bounds on what we open ourselves are off. */
const open = (protocol: string): Promise<Stream> =>
  connection.newStream(protocol, { maxOutboundStreams: 100_000 });
const frameOf = (length: number): Uint8Array => Uint8Array.of(length, ...new Uint8Array(length).fill(7));

test('endless frames: cut off at the quota, and refused until the time is over', async () => {
  const frames = new Uint8Array(512 * 5).map((_, at) => frameOf(4)[at % 5] as number);
  await pour(await open(protocolIds.direct), frames);
  await closed(connection);
  expect(cutOff()).toMatchObject({ reason: quotas.directFrames.excess, times: 1 });
  const { atOnce, perSecond } = quotas.directFrames;
  expect(honest.recorder.received.length).toBeLessThan(atOnce + 60 * perSecond);
  const again = await rogue.dial(honest.transport.addresses()).catch(() => null);
  if (again !== null) await closed(again); // refused after Noise, which the dialling side sees a moment later
  await expectOthersServed();
});

test('requests that no honest member makes: cut off', async () => {
  honest.recorder.respond = async (from) => {
    honest.transport.reproach(from); // as whoever understands the request does
    throw new Error('refused');
  };
  const use = await open(protocolIds.use);
  for (let number = 0; number < 2 * quotas.refusals.atOnce && use.status === 'open'; number += 1)
    use.send(Uint8Array.of(6, 0, 0, 0, 0, number, 42));
  await closed(connection);
  expect(cutOff()?.reason).toBe(quotas.refusals.excess);
  honest.recorder.respond = async (_from, request) => request;
  await expectOthersServed();
});

test('over-long frames, one stream after another: each is held against its sender, who is cut off', async () => {
  for (let count = 0; count < 1_000 && connection.status === 'open'; count += 1) {
    const stream = await open(protocolIds.direct).catch(() => null);
    if (stream === null) continue;
    await write(stream, Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 1, 2, 3));
    await closed(stream);
  }
  await closed(connection);
  expect(cutOff()?.reason).toBe(quotas.refusals.excess);
  await expectOthersServed();
});

test('ten thousand streams: cut off long before, whatever they are for', async () => {
  const protocols = [protocolIds.direct, protocolIds.addresses, '/ipfs/ping/1.0.0', '/nothing/1'];
  let opened = 0;
  const worker = async (): Promise<void> => {
    while (opened < 10_000 && connection.status === 'open')
      await open(protocols[opened % protocols.length] as string).then(
        () => {
          opened += 1;
        },
        () => new Promise<void>((resolve) => setImmediate(resolve)), // refused: the next one comes a moment later
      );
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  await closed(connection);
  expect(opened).toBeLessThan(10_000);
  expect(cutOff()).toBeDefined();
  await expectOthersServed();
});

/** What gossipsub sends: an RPC (field 2: messages) of as many publications (from, data, topic), unsigned. */
function publications(from: Uint8Array, count: number): Uint8Array {
  const topic = new TextEncoder().encode(gossipTopic('c0ffee'));
  const message = [0x0a, from.length, ...from, 0x12, 1, 7, 0x22, topic.length, ...topic];
  return prefixed(
    new Uint8Array(Array.from({ length: count }, () => [0x12, message.length, ...message]).flat()),
  );
}

test('publications without end: cut off for its own, and not for as many that it passes on', async () => {
  const stream = await open('/meshsub/1.2.0');
  const [own, others] = [rogue.node.peerId, peerIdFromString(friend.transport.peerId)];
  const half = quotas.gossipOwn.atOnce / 2 + 200;
  await write(stream, publications(others.toMultihash().bytes, half));
  await write(stream, publications(others.toMultihash().bytes, half));
  await write(stream, publications(own.toMultihash().bytes, half));
  await expectOthersServed();
  expect(cutOff()).toBeUndefined();
  await write(stream, publications(own.toMultihash().bytes, quotas.gossipOwn.atOnce));
  await closed(connection);
  expect(cutOff()?.reason).toBe(quotas.gossipOwn.excess);
  await expectOthersServed();
});

test('one connection after another: few at once, and cut off for too many', async () => {
  for (let count = 0; count < 64 && cutOff() === undefined; count += 1)
    await rogue.dial(honest.transport.addresses()).catch(() => null);
  await loopback.until(() => !honest.transport.connected().includes(rogue.node.peerId.toString()));
  expect(cutOff()?.reason).toBe(quotas.connections.excess);
  await expectOthersServed();
});

test('handshakes without end: cut off', async () => {
  for (let count = 0; count < 200 && connection.status === 'open'; count += 1) {
    const stream = await open(protocolIds.handshake).catch(() => null);
    stream?.abort(new Error('never mind'));
  }
  await closed(connection);
  expect([quotas.handshakes.excess, quotas.streams.excess]).toContain(cutOff()?.reason);
  await expectOthersServed();
});

test('an honest member that sends a full queue at once is not cut off', async () => {
  const frames = networkLimits.queueFramesMax;
  for (let count = 0; count < frames; count += 1) friend.transport.send(honest.transport.peerId, frameOf(8));
  await loopback.until(() => honest.recorder.received.length >= frames - friend.transport.dropped());
  await expectOthersServed();
});

test('whoever is asked for patience sends no more meanwhile', async () => {
  const room = Promise.withResolvers<void>();
  let received = 0;
  honest.recorder.onMessage = () => {
    received += 1;
    loopback.changed();
    return room.promise;
  };
  for (let count = 0; count < 100; count += 1) friend.transport.send(honest.transport.peerId, frameOf(8));
  await loopback.until(() => received === 1);
  await expectOthersServed(); // a round trip on the same connection: the other frames are here, and wait
  expect(received).toBe(1);
  honest.recorder.onMessage = () => {
    received += 1;
    loopback.changed();
  };
  room.resolve();
  await loopback.until(() => received === 100);
});
