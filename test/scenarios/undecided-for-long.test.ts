/**
 * §4.3, §7.5: a change that stays undecided for hundreds of rounds is decided once a quorum of honest members
 * is up.
 */
import { expect, test } from 'vitest';
import { limits } from '../../src/protocol/records/limits.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { forge, messageIn } from './support.ts';

/** The latest round that a peer has entered. */
const roundsOf = (group: Group, peer: number): number =>
  Math.max(
    0,
    ...group
      .node(peer)
      .outputs.map((output) =>
        output.type === 'rule' && output.rule === 'enter-round' ? Number(output.detail.round) : 0,
      ),
  );
const roundOf = (group: Group, peer: number): number => group.state(peer).durable.own.rounds?.round ?? 0;

test('a member that comes back after more rounds than anybody keeps learns where the others are', async () => {
  const rounds = limits.roundsAheadMax + limits.roundsKept + 4;
  const timing = { roundTimeoutMs: 50, resendMs: 5_000, resendMaxMs: 5_000 };
  const group = await groupWithKey({ peers: 4, threshold: 2, timing });
  await group.stop(4);
  let silent = false;
  group.intercept = ({ from }, frame) => {
    if (from !== 'p3') return [frame];
    return silent || ['have', 'proposal'].includes(messageIn(frame)?.type ?? '') ? [] : [frame];
  };
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2].every((peer) => roundOf(group, peer) >= rounds), 20_000_000);
  silent = true;
  await group.restart(4);
  await group.until(() => [1, 2, 4].every((peer) => group.epochOf(peer) === 2), 600_000);
  await group.stopAll();
});

test('of the rounds far ahead one vote a member is kept, and one member alone drags nobody there', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  const far = (peer: number): number =>
    Object.values(group.state(peer).durable.votes).filter(({ message }) => message.round >= 1_000).length;
  let most = 0;
  let said = 0;
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (to !== 'p4') most = Math.max(most, far(Number(to.slice(1))));
    if (message?.type !== 'prevote') return [frame];
    // The others must not have decided before they hear p4: their prevotes get through when they are sent again.
    if (from !== 'p4') return said < 3 ? [] : [frame];
    said += 1;
    return [5_000, 1_000, 9_000].map((round) => forge(group.state(4), { ...message, round }));
  };
  await group.refresh();
  expect(said).toBeGreaterThan(0);
  expect(most).toBe(1);
  for (const peer of [1, 2, 3]) expect(roundsOf(group, peer)).toBeLessThan(10);
  await group.stopAll();
});

test('a member that comes and goes all the time keeps no timeout short: on a slow network the change is decided', async () => {
  const slow = { on: false };
  const group = await groupWithKey({
    ...{ peers: 4, threshold: 2 },
    network: { delayMsMin: 5, delayMsMax: 20, route: ({ bytes }) => [{ bytes, laterMs: slow.on ? 800 : 0 }] },
  });
  group.intercept = ({ from }, frame) => (from === 'p4' ? [] : [frame]);
  slow.on = true;
  group.node(1).driver?.refresh();
  let flapping = true;
  const flap = () => {
    if (!flapping) return;
    for (const peer of [1, 2, 3]) group.network.cut(group.node(4).peer, group.node(peer).peer);
    group.time.schedule(50, () => {
      for (const peer of [1, 2, 3]) group.network.mend(group.node(4).peer, group.node(peer).peer);
      group.time.schedule(1_000, flap);
    });
  };
  flap();
  await group.until(() => [1, 2, 3].every((peer) => group.epochOf(peer) === 2), 600_000);
  flapping = false;
  await group.stopAll();
});
