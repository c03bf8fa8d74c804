/** Whoever learns of a change late is honest: nobody cuts it off for what it does until it has caught up. */
import { afterEach, expect, test, vi } from 'vitest';
import { silentLog } from '../../../src/node/log.ts';
import { Bucket } from '../../../src/node/network/bucket.ts';
import { networkLimits } from '../../../src/node/network/constants.ts';
import { Handshake } from '../../../src/node/network/handshake.ts';
import { type PeerConnection, PeerConnections } from '../../../src/node/network/peer-connections.ts';
import { quotas } from '../../../src/node/network/quotas.ts';
import { Loopback, memberOf, type TestPeer } from './loopback.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

const reproofMs = 1_000;

async function two(): Promise<[TestPeer, TestPeer]> {
  const pair: [TestPeer, TestPeer] = [
    await loopback.start(0, [], { timings: { reproofMs } }),
    await loopback.start(1, [], { timings: { reproofMs } }),
  ];
  for (const { transport } of pair) await transport.setMembers(pair.map((peer) => memberOf(peer)));
  return pair;
}

interface Opened {
  peerConnection: PeerConnection;
  close(): void;
}

/** Connections of one peer on which no handshake of ours ever comes to an end. */
function failingLinks(onOpen: () => void): { handshake: Handshake; open(): Opened } {
  const connections = new PeerConnections();
  const handshake = new Handshake({
    node: { peerId: { toString: () => 'ours' }, handle: async () => {}, unhandle: async () => {} } as never,
    ...{ clusterId: 'c0ffee', connections, spend: () => true, reproofMs, log: silentLog },
    authenticator: { prove: () => null, check: () => false },
    onAuthenticated() {},
    onUnauthenticated() {},
  });
  let count = 0;
  const open = (): Opened => {
    count += 1;
    const connection = Object.assign(new EventTarget(), {
      id: String(count),
      status: 'open',
      remotePeer: 'theirs',
      newStream: async () => {
        onOpen();
        throw new Error('it has not caught up');
      },
    });
    const { peerConnection } = connections.add(connection as never);
    handshake.run(peerConnection);
    const close = (): void => {
      connection.status = 'closed';
      connections.remove(connection as never);
      connection.dispatchEvent(new Event('close'));
    };
    return { peerConnection, close };
  };
  return { handshake, open };
}

test('a member that catches up opens no more handshakes than it may, however many values it adopts and however often it connects', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  try {
    const { connections, handshakes } = quotas;
    const theirs = new Bucket(handshakes, performance.now());
    let tooMany = 0;
    let handshakesOpened = 0;
    const { handshake, open } = failingLinks(() => {
      handshakesOpened += 1;
      if (!theirs.spend(performance.now())) tooMany += 1;
    });
    const opened: Opened[] = [];
    const connect = async (): Promise<void> => {
      opened.push(open());
      if (opened.length > networkLimits.connectionsPerMemberMax) opened.shift()?.close();
      for (let each = 0; each < 4; each += 1) {
        for (const { peerConnection } of opened) handshake.renew(peerConnection);
        await vi.advanceTimersByTimeAsync(0);
      }
      // The other end counts the instance that is told on each connection too.
      theirs.spend(performance.now());
    };
    for (let count = 0; count < connections.atOnce; count += 1) await connect();
    for (let second = 0; second < 120; second += 1) {
      for (let count = 0; count < connections.perSecond; count += 1) await connect();
      for (let adopted = 0; adopted < 100; adopted += 1) {
        for (const { peerConnection } of opened) handshake.renew(peerConnection);
        await vi.advanceTimersByTimeAsync(10);
      }
    }
    expect(tooMany).toBe(0);
    expect(handshakesOpened).toBeGreaterThan(connections.atOnce);
  } finally {
    vi.useRealTimers();
  }
});

test('however often a new proof was asked for, the last one comes', async () => {
  const [late, other] = await two();
  await loopback.authenticated([late, other]);
  late.recorder.key = 'older'; // than the one that the other expects
  for (let frame = 1; frame <= 64; frame += 1) {
    late.transport.reauthenticate(other.transport.peerId);
    other.transport.send(late.transport.peerId, Uint8Array.of(frame));
    await loopback.until(() => late.recorder.received.length === frame);
  }
  late.recorder.key = other.recorder.key;
  late.transport.reauthenticate(other.transport.peerId);
  const accepted = other.recorder.count(`accepted ${late.transport.peerId}`);
  await loopback.until(() => other.recorder.count(`accepted ${late.transport.peerId}`) > accepted);
  await loopback.authenticated([late, other]);
  expect(other.transport.cutOffs()).toEqual([]);
});

test('a coordinator that has not heard of the change is refused, and not cut off', async () => {
  const [ahead, late] = await two();
  await loopback.authenticated([ahead, late]);
  ahead.recorder.key = 'the next key';
  ahead.transport.reauthenticate(late.transport.peerId);
  await loopback.until(() => ahead.recorder.count(`unauthenticated ${late.transport.peerId}`) === 1);
  const asked = await Promise.allSettled(
    Array.from({ length: 4 * quotas.refusals.atOnce }, () =>
      late.transport.request(ahead.transport.peerId, Uint8Array.of(1), {
        signal: new AbortController().signal,
      }),
    ),
  );
  expect(new Set(asked.map((each) => each.status === 'rejected' && each.reason.code))).toEqual(
    new Set(['refused']),
  );
  expect(ahead.transport.cutOffs()).toEqual([]);
});
