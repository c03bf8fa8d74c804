import { afterEach, expect, test } from 'vitest';
import { rounds } from '../../support/rounds.ts';
import { dialAsStrangers } from '../../support/strangers.ts';
import { Loopback, memberOf } from './loopback.ts';

const strangers = rounds({ usually: 20, all: 100 });

const loopback = new Loopback();
afterEach(() => loopback.close());

test(`${10 * strangers} dials by ${strangers} strangers get no stream, no message and no entry in the peer store`, async () => {
  const a = await loopback.start(0, []);
  const b = await loopback.start(1, []);
  for (const { transport } of [a, b]) await transport.setMembers([memberOf(a), memberOf(b)]);
  await loopback.authenticated([a, b]);
  const answered = await dialAsStrangers(a.transport.addresses(), { strangers, dialsEach: 10 });

  expect(answered).toBe(0);
  expect(a.recorder.events.filter((event) => !event.endsWith(b.transport.peerId))).toEqual([]);
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
