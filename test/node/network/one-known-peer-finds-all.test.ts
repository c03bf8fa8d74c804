import { afterEach, expect, test, vi } from 'vitest';
import { Loopback, memberOf, type TestPeer } from './loopback.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

test('members that know the address of one find all', async () => {
  const hub = await loopback.start(0, []);
  const others: TestPeer[] = [];
  for (let index = 1; index < 5; index += 1) others.push(await loopback.start(index, []));
  const group = [hub, ...others];
  const members = group.map((peer) => memberOf(peer, peer === hub ? undefined : []));
  await Promise.all(group.map(({ transport }) => transport.setMembers(members)));
  await loopback.authenticated(group);
  for (const { transport } of group) {
    for (const other of group.filter((peer) => peer.transport !== transport)) {
      const known = transport.memberAddresses().find(({ peer }) => peer === other.transport.peerId);
      expect(known?.addresses).toContain(other.transport.addresses()[0]);
    }
  }
});

test('a bootstrap address is enough for the first contact', async () => {
  const known = await loopback.start(0, []);
  const joiner = await loopback.start(1, [], { bootstrap: known.transport.addresses() });
  const members = [memberOf(known, []), memberOf(joiner, [])];
  for (const { transport } of [known, joiner]) await transport.setMembers(members);
  await loopback.authenticated([known, joiner]);
  expect(joiner.transport.authenticated()).toEqual([known.transport.peerId]);
  expect(known.transport.authenticated()).toEqual([joiner.transport.peerId]);
});

test('a member that moved to another port is found again by those that do not know the new one', async () => {
  const [a, b, c] = [await loopback.start(0, []), await loopback.start(1, []), await loopback.start(2, [])];
  const members = [a, b, c].map((peer) => memberOf(peer));
  for (const { transport } of [a, b, c]) await transport.setMembers(members);
  await loopback.authenticated([a, b, c]);
  const before = c.transport.addresses();
  await c.transport.stop();
  await loopback.until(() => a.transport.connected().length === 1 && b.transport.connected().length === 1);
  const moved = await loopback.start(2, [memberOf(a), memberOf(b, [])]);
  expect(moved.transport.addresses()).not.toEqual(before);
  await loopback.authenticated([a, b, moved]);
});

test('a member whose clock was ahead, and is right when it comes back elsewhere, is known at its new address', async () => {
  const clock = vi.spyOn(Date, 'now');
  try {
    const real = Date.now();
    clock.mockImplementation(() => real + 3_600_000);
    const [a, b, c] = [await loopback.start(0, []), await loopback.start(1, []), await loopback.start(2, [])];
    const members = [a, b, c].map((peer) => memberOf(peer));
    for (const { transport } of [a, b, c]) await transport.setMembers(members);
    await loopback.authenticated([a, b, c]);
    const knownTo = ({ transport }: TestPeer) =>
      transport.memberAddresses().find(({ peer }) => peer === c.transport.peerId)?.addresses ?? [];
    for (const peer of [a, b]) await expect.poll(() => knownTo(peer)).toEqual(c.transport.addresses());
    await c.transport.stop();
    clock.mockImplementation(() => real);
    const moved = await loopback.start(2, [memberOf(a), memberOf(b, [])]);
    await loopback.authenticated([a, b, moved]);
    // The best first: the old one stays as the roster's.
    for (const peer of [a, b])
      await expect.poll(() => knownTo(peer)[0], { timeout: 10_000 }).toBe(moved.transport.addresses()[0]);
  } finally {
    clock.mockRestore();
  }
});
