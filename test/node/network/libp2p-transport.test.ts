import { afterEach, expect, test } from 'vitest';
import { Loopback, loopbackTransport, memberOf } from './loopback.ts';
import { transportContract } from './transport-contract.ts';

transportContract('libp2p on loopback', () => {
  const loopback = new Loopback();
  return {
    create: (index) =>
      loopbackTransport(index, {
        queueBounds: { framesMax: 4_096, bytesMax: 4 * 1024 * 1024 },
        timings: { reproofMs: 300 },
      }),
    until: (condition) => loopback.until(condition),
    changed: loopback.changed,
    close: () => loopback.close(),
  };
});

const loopback = new Loopback();
afterEach(() => loopback.close());

test('an address that is taken is named in the error, and the transport can be started again elsewhere', async () => {
  const taken = await loopback.start(0, []);
  const [address] = taken.transport.addresses();
  const listen = [address!.replace(/\/p2p\/.*/, '')];
  await expect(loopback.start(1, [], { listen })).rejects.toThrow(
    `the daemon cannot listen on ${listen[0]}: another program listens there`,
  );
  await loopback.start(1, []);
});

test('a stopped transport can be started again', async () => {
  const [a, b] = [await loopback.start(0, []), await loopback.start(1, [])];
  for (const { transport } of [a, b]) await transport.setMembers([memberOf(a), memberOf(b)]);
  await loopback.authenticated([a, b]);
  await a.transport.stop();
  await loopback.until(() => b.transport.connected().length === 0);
  expect(a.recorder.count(`disconnect ${b.transport.peerId}`)).toBe(0);
  await a.transport.start(a.recorder, a.recorder);
  await loopback.authenticated([a, b]);
  a.transport.publish(Uint8Array.of(1));
  await loopback.until(() => b.recorder.received.length > 0);
});
