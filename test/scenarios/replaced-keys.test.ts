/**
 * §4, the handshake: an open link proves the new epoch key after each change, and nothing honest is refused
 * meanwhile.
 */
import { expect, test, vi } from 'vitest';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { SimulatedTransport } from '../../src/simulation/world/simulated-transport.ts';
import { fired, fivePeers, messageIn } from './support.ts';

const trusts = (group: Group, at: number): string[] =>
  Object.keys(group.state(at).volatile.authenticated).sort();
const reproofMs = 1_000;

test('through three refreshes every link stays authenticated, and is proven by the keys of the newest value', async () => {
  const group = await fivePeers({ network: { reproofMs } });
  for (let count = 0; count < 3; count += 1) {
    const next = group.epochOf(1) + 1;
    group.node(1).driver?.refresh();
    await group.until(() => {
      for (const index of [1, 2, 3, 4, 5]) expect(trusts(group, index)).toHaveLength(4);
      return group.settledAt(next);
    });
  }
  // Whatever was proven by an older key would have ended by now.
  await group.run(3 * reproofMs);
  for (const index of [1, 2, 3, 4, 5]) expect(trusts(group, index)).toHaveLength(4);
});

test('an open link whose peer has only the key that was replaced counts no longer after a while, until it has caught up', async () => {
  const group = await fivePeers({ network: { reproofMs } });
  // p5 attends, and learns of no decision: it goes on with the key that all others have replaced.
  group.intercept = ({ to }, frame) =>
    to === 'p5' && (messageIn(frame)?.type === 'precommit' || frame.type === 'links') ? [] : [frame];
  const late = group.node(5).peer;
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4].every((index) => group.epochOf(index) === 2));
  for (const index of [1, 2, 3, 4]) expect(trusts(group, index)).toContain(late);
  await group.until(() => [1, 2, 3, 4].every((index) => !trusts(group, index).includes(late)), 2 * reproofMs);
  expect(fired(group, 5, 'adopt', { epoch: 2 })).toBe(false);
  for (const index of [1, 2, 3, 4]) expect(trusts(group, index)).toHaveLength(3);
  group.intercept = null;
  await group.until(() => [1, 2, 3, 4].every((index) => trusts(group, index).includes(late)));
  await group.until(() => group.settledAt(2));
});

test('a member that keeps its key and learns of the change first loses no link: whoever adopts later asks it again', async () => {
  const group = await fivePeers({ network: { reproofMs } });
  // p5's Attend reaches nobody, so its key stays; the others learn of the decision when its handshakes have failed.
  group.intercept = ({ from, to }, frame) => {
    const type = messageIn(frame)?.type;
    const decides = type === 'precommit' || frame.type === 'links';
    return (from === 'p5' && type === 'attend') || (to !== 'p5' && decides) ? [] : [frame];
  };
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 5, 'adopt', { epoch: 2 }));
  await group.run(50);
  expect(group.epochOf(1)).toBe(1);
  expect(headOf(group.state(5)).roster.map(({ keyEpoch }) => keyEpoch)).toEqual([2, 2, 2, 2, 1]);
  group.intercept = null;
  await group.until(() => group.settledAt(2));
  await group.run(3 * reproofMs);
  for (const index of [1, 2, 3, 4, 5]) expect(trusts(group, index)).toHaveLength(4);
});

test('a member that catches up proves itself anew once for each step of links, not once for each epoch', async () => {
  const group = await fivePeers({ network: { reproofMs } });
  await group.stop(5);
  // One step takes as many links as a member keeps.
  const steps = 2;
  for (let count = 0; count < steps * limits.linksKept; count += 1) await group.refresh(1);
  const renewed = vi.spyOn(SimulatedTransport.prototype, 'reauthenticate');
  try {
    await group.restart(5);
    await group.until(() => group.epochOf(5) === group.epochOf(1));
    await group.until(() => trusts(group, 5).length === 4);
    const late = group.node(5).peer;
    const asked = renewed.mock.calls.flatMap(([peer], call) => {
      const by: unknown = renewed.mock.contexts[call];
      return by instanceof SimulatedTransport && by.peerId === late ? [peer] : [];
    });
    expect(new Set(asked).size).toBeGreaterThan(0);
    for (const peer of asked)
      expect(asked.filter((other) => other === peer).length, peer).toBeLessThanOrEqual(steps);
  } finally {
    renewed.mockRestore();
  }
});

test('whose proof ends is told what is newer at once, though nobody has anything to send again', async () => {
  const group = await fivePeers({
    network: { reproofMs },
    timing: { resendMs: 600_000, resendMaxMs: 600_000 },
  });
  const late = group.node(5).peer;
  // p5 attends, hears nothing of the decision, and so goes on as if nothing had changed.
  group.intercept = ({ from, to }, frame) =>
    to === 'p5' && trusts(group, Number(from.slice(1))).includes(late) && messageIn(frame)?.type !== 'attend'
      ? []
      : [frame];
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4].every((index) => group.epochOf(index) === 2));
  await group.until(() => [1, 2, 3, 4].some((index) => !trusts(group, index).includes(late)), 2 * reproofMs);
  await group.until(() => group.epochOf(5) === 2, 200);
  await group.until(() => trusts(group, 5).length === 4, 200);
});
