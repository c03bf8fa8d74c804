import { noise } from '@chainsafe/libp2p-noise';
import type { Connection, Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { lpStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { encode } from 'cborg';
import { createLibp2p, type Libp2p } from 'libp2p';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { peerIdOf } from '../../../src/node/home/identity.ts';
import { networkLimits, protocolIds } from '../../../src/node/network/constants.ts';
import { limits } from '../../../src/protocol/records/limits.ts';
import { Loopback, memberOf, type TestPeer, testIdentity } from './loopback.ts';

const loopback = new Loopback();
const hostileIndex = 5;
let honest: TestPeer;
let friend: TestPeer;
let hostile: Libp2p;
let connection: Connection;

/** Two honest members, and one that speaks raw libp2p. */
beforeEach(async () => {
  honest = await loopback.start(0, []);
  friend = await loopback.start(1, []);
  const identity = await testIdentity(hostileIndex);
  const members = [memberOf(honest), memberOf(friend), { peer: peerIdOf(identity), addresses: [] }];
  for (const { transport } of [honest, friend]) await transport.setMembers(members);
  await loopback.until(() =>
    [honest, friend].every(({ transport }) => transport.authenticated().length === 1),
  );
  hostile = await createLibp2p({
    privateKey: identity,
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  });
  connection = await hostile.dial(honest.transport.addresses().map((address) => multiaddr(address)));
});
afterEach(async () => {
  await hostile.stop();
  await loopback.close();
});

const closed = (stream: Stream): Promise<void> =>
  new Promise<void>((resolve) => {
    if (stream.status !== 'open') resolve();
    else stream.addEventListener('close', () => resolve());
  });

async function sendRaw(protocol: string, bytes: Uint8Array): Promise<Stream> {
  const stream = await connection.newStream(protocol);
  try {
    stream.send(bytes);
  } catch {
    // already refused
  }
  return stream;
}

async function expectStillServing(): Promise<void> {
  const request = Uint8Array.of(1, 2, 3);
  const signal = new AbortController().signal;
  expect(await friend.transport.request(honest.transport.peerId, request, { signal })).toEqual(request);
}

test('a request to use a key is as long as it can be, on both sides', async () => {
  const request = (length: number) => {
    const { signal } = new AbortController();
    return friend.transport.request(honest.transport.peerId, new Uint8Array(length), { signal });
  };
  expect(await request(limits.requestBytesMax)).toHaveLength(limits.requestBytesMax);
  await expect(request(limits.requestBytesMax + 1)).rejects.toMatchObject({ code: 'too-large' });
  // A megabyte is announced, and nothing of it waited for.
  await closed(await sendRaw(protocolIds.use, Uint8Array.of(0x80, 0x80, 0x40, 1, 2, 3)));
  await expectStillServing();
});

test('garbage on every protocol ends the stream, and others are still served', async () => {
  const ours = [protocolIds.handshake, protocolIds.direct, protocolIds.use, protocolIds.addresses];
  const garbage = [
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), // an endless length
    Uint8Array.of(0x80 | 1, 0x80, 0x80, 0x04, 1, 2, 3), // a length over the bound
    Uint8Array.of(2, 0xff, 0xff), // no such CBOR, shorter than a request header
  ];
  for (const protocol of ours) {
    for (const bytes of garbage) {
      if (protocol === protocolIds.direct && bytes.length === 3) continue; // there, any bytes are a frame
      if (protocol === protocolIds.handshake && bytes[0] === 0xff) continue; // ends with the handshake's time
      await closed(await sendRaw(protocol, bytes));
    }
  }
  expect(honest.transport.connected()).toContain(hostile.peerId.toString());
  await expectStillServing();
});

test('a stream that is half-closed at once leaves nothing open', async () => {
  for (const protocol of [protocolIds.direct, protocolIds.use]) {
    const stream = await connection.newStream(protocol);
    await stream.close();
    await closed(stream);
  }
  await expectStillServing();
});

test('whoever has not proven its epoch key is refused requests and address exchange', async () => {
  honest.recorder.respond = async () => {
    throw new Error('must not be asked');
  };
  const use = await connection.newStream(protocolIds.use);
  const frames = lpStream(use);
  await frames.write(Uint8Array.of(0, 0, 0, 0, 9, 42));
  expect((await frames.read()).slice()).toEqual(Uint8Array.of(2, 0, 0, 0, 9));
  await closed(await sendRaw(protocolIds.addresses, Uint8Array.of(1, ...encode([]))));
  expect(honest.transport.authenticated()).toEqual([friend.transport.peerId]);
});

test('a request number that is used twice at once ends the stream', async () => {
  let asked = 0;
  const { check } = honest.recorder;
  honest.recorder.check = () => true;
  honest.recorder.respond = () => {
    asked += 1;
    return new Promise(() => {});
  };
  const handshake = lpStream(await connection.newStream(protocolIds.handshake));
  await handshake.write(new Uint8Array(32));
  await handshake.read();
  await handshake.write(encode([7, new Uint8Array(64)]));
  expect((await handshake.read()).slice()).toEqual(Uint8Array.of(1));
  honest.recorder.check = check;

  const use = await connection.newStream(protocolIds.use);
  const frames = lpStream(use);
  await frames.write(Uint8Array.of(0, 0, 0, 0, 1));
  await frames.write(Uint8Array.of(0, 0, 0, 0, 1));
  await closed(use);
  expect(asked).toBe(1);
});

test('no more than the bound of one member’s requests are worked on at once', async () => {
  honest.recorder.check = () => true;
  const release: (() => void)[] = [];
  honest.recorder.respond = (_from, request) =>
    new Promise((resolve) => {
      release.push(() => resolve(request));
      loopback.changed();
    });
  const { requestsServedMax } = networkLimits;
  const asked = 3 * requestsServedMax;
  const answers = Array.from({ length: asked }, (_, index) =>
    friend.transport.request(honest.transport.peerId, Uint8Array.of(index), {
      signal: new AbortController().signal,
    }),
  );
  await loopback.until(() => release.length === requestsServedMax);
  let worked = 0;
  while (worked < asked) {
    await loopback.until(() => release.length > 0);
    expect(release.length).toBeLessThanOrEqual(requestsServedMax);
    release.shift()!();
    worked += 1;
  }
  expect((await Promise.all(answers)).map(([first]) => first)).toEqual(
    Array.from({ length: asked }, (_, i) => i),
  );
});

test('a frame that comes in single bytes ends the stream before it fills the memory', async () => {
  const stream = await connection.newStream(protocolIds.direct);
  stream.send(Uint8Array.of(0x80, 0x80, 0x40)); // 1 MiB is announced
  const end = closed(stream);
  const piece = Uint8Array.of(1);
  for (let sent = 0; sent <= networkLimits.chunksPerFrameMax && stream.status === 'open'; sent += 1) {
    if (!stream.send(piece)) await Promise.race([stream.onDrain(), end]).catch(() => {});
  }
  await end;
  expect(honest.recorder.received).toEqual([]);
  await expectStillServing();
});

test('a roster with a malformed peer id or address does no harm', async () => {
  await honest.transport.setMembers([
    memberOf(friend),
    { peer: 'no peer id', addresses: ['/ip4/127.0.0.1/tcp/1'] },
    { peer: hostile.peerId.toString(), addresses: ['nonsense', '/unix/tmp/socket'] },
  ]);
  await honest.transport.setMembers([memberOf(friend)]);
  await expectStillServing();
});

test('requests in work are aborted when their connection ends, also when the stream is full', async () => {
  let aborted = 0;
  let asked = 0;
  honest.recorder.respond = (_from, _request, signal) => {
    asked += 1;
    signal.addEventListener('abort', () => {
      aborted += 1;
      loopback.changed();
    });
    loopback.changed();
    return new Promise(() => {});
  };
  const signal = new AbortController().signal;
  const outcomes = Array.from({ length: networkLimits.requestsServedMax + 5 }, () =>
    friend.transport.request(honest.transport.peerId, Uint8Array.of(1), { signal }).catch((err) => err.code),
  );
  await loopback.until(() => asked === networkLimits.requestsServedMax);
  await friend.transport.stop();
  await loopback.until(() => aborted === networkLimits.requestsServedMax);
  expect(asked).toBe(networkLimits.requestsServedMax);
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['closed']));
});
