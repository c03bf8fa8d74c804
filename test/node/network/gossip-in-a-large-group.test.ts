import { setInterval } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Loopback, memberOf, type TestPeer } from './loopback.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

/** No second connections while a busy machine opens the first. */
const timings = { smallerIdDelayMs: 10_000, pingTimeoutMsMin: 5_000, pingTimeoutMsMax: 10_000 };

test('more peers than a gossip mesh holds, on one machine, all hear each other', async () => {
  const group: TestPeer[] = [];
  for (let index = 0; index < 12; index += 1) group.push(await loopback.start(index, [], { timings }));
  const members = group.map((peer) => memberOf(peer));
  await Promise.all(group.map(({ transport }) => transport.setMembers(members)));
  await loopback.authenticated(group);
  for (const [index, { transport }] of group.entries()) transport.publish(Uint8Array.of(index));
  const heard = ({ recorder }: TestPeer): number =>
    new Set(recorder.received.map(({ frame }) => frame[0])).size;
  await loopback.until(() => group.every((peer) => heard(peer) === group.length - 1));
});

test('the same bytes are delivered again when they are re-sent after a few seconds', async () => {
  const [a, b] = [await loopback.start(0, []), await loopback.start(1, [])];
  for (const { transport } of [a, b]) await transport.setMembers([memberOf(a), memberOf(b)]);
  await loopback.authenticated([a, b]);
  // As the protocol does it, until something new is heard.
  for await (const _tick of setInterval(250)) {
    a.transport.publish(Uint8Array.of(1));
    if (b.recorder.received.filter(({ via }) => via === 'gossip').length >= 2) break;
  }
  expect(b.recorder.received.length).toBeLessThan(6);
});
