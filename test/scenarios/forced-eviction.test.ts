/**
 * §5: when more than `faults` members are gone for good, those who remain decide alone, by the operator's
 * forced order.
 */

import { expect, test } from 'vitest';
import { prevotersOf } from '../../src/protocol/change/agree.ts';
import { headOf, holdsShare, instanceOf } from '../../src/protocol/machine/queries.ts';
import {
  type Evidence,
  type Frame,
  frameEnvelope,
  type Vote,
} from '../../src/protocol/records/change-messages.ts';
import { encode, hex } from '../../src/protocol/records/codec.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import { decodeStored } from '../../src/protocol/records/stored.ts';
import { hashOfValue } from '../../src/protocol/records/value.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { orderOn } from '../../src/simulation/world/paper.ts';
import { fired, forge, messageIn } from './support.ts';

async function forceEvict(group: Group, by: number, remaining: number[]): Promise<void> {
  await group.order(by, { type: 'force-evict', remaining });
}

test('a 2-of-3 group whose third machine is dead for good goes on with two, and takes in another', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  await group.stop(3);
  // The ordinary change waits for all three.
  group.node(1).driver?.refresh();
  await group.run(10_000);
  expect(group.epochOf(1)).toBe(1);
  await forceEvict(group, 1, [1, 2]);
  await group.until(() => group.settledAt(2), 60_000, 'the forced change');
  expect(headOf(group.state(2)).roster.map(({ name }) => name)).toEqual(['p1', 'p2']);
  await group.join(1);
  await group.refresh(2);
  expect([1, 2, 4].every((place) => holdsShare(group.state(place)))).toBe(true);
  await group.stopAll();
});

test('it frees a group whose members died between the decision and Retire', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  // p3 decides epoch 2 with the others, and dies before it is ready.
  group.intercept = ({ from }, frame) =>
    from === 'p3' && frame.type === 'message' && frame.message.trials !== undefined ? [] : [frame];
  group.node(1).driver?.refresh();
  await group.until(() =>
    [1, 2].every((place) => group.epochOf(place) === 2 && holdsShare(group.state(place))),
  );
  await group.stop(3);
  await group.run(5_000);
  expect(group.state(1).durable.own.retired).toBe(1);
  await forceEvict(group, 2, [1, 2]);
  await group.until(() => group.settledAt(3), 60_000, 'the forced change');
  expect(Object.keys(group.state(1).durable.shares)).toEqual(['3']);
  await group.stopAll();
});

test('Readys of those who were thought dead, when they come in mid-change, erase nothing that the forced change needs', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  const late: Frame[] = [];
  group.intercept = ({ from, to }, frame) => {
    if (from !== 'p3') return [frame];
    if (to === 'p1' && frame.type === 'message' && frame.message.trials !== undefined) late.push(frame);
    return late.length > 0 ? [] : [frame];
  };
  group.node(1).driver?.refresh();
  await group.until(() =>
    [1, 2].every((place) => group.epochOf(place) === 2 && holdsShare(group.state(place))),
  );
  await group.until(() => late.length > 0);
  await group.stop(3);
  const attended = (place: number) => Object.keys(group.state(place).durable.attended);
  await forceEvict(group, 2, [1, 2]);
  const forced = () => group.state(2).durable.own.forced?.plan ?? '';
  await group.until(() => [1, 2].every((place) => attended(place).includes(forced())));
  for (const place of [1, 2])
    await group.node(place).driver?.dispatch({
      type: 'frame',
      from: 'peer-0003',
      authenticated: true,
      frame: frameEnvelope.encode(late[0] as Frame),
    });
  await group.until(() => [1, 2].every((place) => group.state(place).durable.retires[2] !== undefined));
  await group.until(() => group.settledAt(3), 60_000, 'the forced change');
  for (const place of [1, 2]) {
    expect(Object.keys(group.state(place).durable.shares)).toEqual(['3']);
    expect(group.state(place).durable.blames).toEqual({});
  }
  await group.refresh(1);
  await group.stopAll();
});

test('it frees a peer whose store went back in time, after those who remain have told what it said', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'have', { epoch: 2 }));
  const copy = new Map(group.node(3).home.records);
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  await group.until(() => fired(group, 3, 'prevote', { epoch: 2 }));
  await group.run(20);
  await group.stop(3);
  await group.stop(1);
  group.node(3).home.records.clear();
  for (const [key, value] of copy) group.node(3).home.records.set(key, value);
  await group.restart(3);
  await group.until(() => fired(group, 3, 'muted'));
  group.intercept = null;
  const before = group.node(3).outputs.length;
  await forceEvict(group, 2, [2, 3]);
  await group.until(() => group.settledAt(2), 60_000, 'the forced change');
  const rules = group
    .node(3)
    .outputs.slice(before)
    .flatMap((output) => (output.type === 'rule' ? [output.rule] : []));
  expect(rules.indexOf('recalled')).toBeGreaterThan(rules.indexOf('enter-forced'));
  expect(rules.indexOf('attend')).toBeGreaterThan(rules.indexOf('recalled'));
  await group.stopAll();
});

test('only prevotes of those who remain, in its own instance, support what is proposed again', async () => {
  const group = await groupWithKey({ peers: 7, threshold: 2 });
  for (const place of [5, 6, 7]) await group.stop(place);
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  await forceEvict(group, 1, [1, 2, 3, 4]);
  await group.until(() => [1, 2, 3, 4].every((place) => fired(group, place, 'prevote', { epoch: 2 })));
  const state = group.state(1);
  const entry = Object.values(state.durable.proposals)[0];
  if (entry === undefined) throw new Error('p1 holds a proposal');
  const hash = hashOfValue(entry.message.value);
  const supportedBy = (voters: number[], instance: Uint8Array | null): number[] => {
    const prevotes = voters.map((by) => {
      const { epochKey } = headOf(state).roster[by - 1] as { epochKey: Uint8Array };
      const secret = group.node(by).home.records.get(`epochSecrets/${hex(epochKey)}`);
      const vote = { v: 1, type: 'prevote', by, epoch: 2, round: 40, instance, value: hash };
      return signPacket(state.clusterId, decodeStored(secret as Uint8Array) as Uint8Array, encode(vote));
    });
    const evidence = { ...(entry.carried.evidence as Evidence), prevotes };
    const message = { ...entry.message, round: 41, validRound: 40 };
    const shown = { message, carried: { ...entry.carried, evidence } };
    return [...prevotersOf(state, shown, hash)].sort();
  };
  const own = instanceOf(state);
  expect(supportedBy([1, 2, 3], own)).toEqual([1, 2, 3]);
  expect(supportedBy([3, 5, 6, 7], own)).toEqual([3]);
  expect(supportedBy([1, 2, 3], null)).toEqual([]);
  await group.stopAll();
});

test('its votes never count with ordinary ones, and a peer that restarts keeps to its instance', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 2 });
  await group.stop(4);
  await group.stop(5);
  group.node(1).driver?.refresh(); // 3 of 5 attend, 4 are needed
  await group.run(3_000);
  await forceEvict(group, 1, [1, 2, 3]);
  await group.until(() => group.state(3).durable.own.forced !== null, 10_000, 'the news at p3');
  await group.stop(3);
  await group.restart(3);
  await group.until(() => group.settledAt(2), 60_000, 'the forced change');
  const link = group.state(3).durable.links[2]!;
  expect(link.certificate.type === 'precommits' && link.certificate.forced?.body.actions[0]?.type).toBe(
    'force-evict',
  );
  await group.run(1_000);
  // An evicted peer that comes back later is not let in.
  await group.restart(5);
  await group.run(10_000);
  expect(group.epochOf(5)).toBe(1);
  await group.stopAll();
});

const strays: Record<string, { signer: number; change: Partial<Vote> }> = {
  'an ordinary vote of one who remains': { signer: 3, change: { instance: null } },
  'a vote of one who is evicted': { signer: 4, change: { by: 4 } },
};

test.each(Object.entries(strays))('%s decides nothing in it', async (_, { signer, change }) => {
  const group = await groupWithKey({ peers: 5, threshold: 2 });
  // All three who remain must vote. p3's own precommit reaches nobody, and the stray one comes in its place.
  let strayed = 0;
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (from === 'p3' && frame.type === 'links') return [];
    if (message?.type !== 'precommit') return [frame];
    if (to === 'p3') return [];
    if (message.by !== 3 || message.value === null) return [frame];
    strayed += 1;
    return from === 'p3' ? [forge(group.state(signer), { ...message, ...change })] : [];
  };
  await forceEvict(group, 1, [1, 2, 3]);
  await group.until(() => strayed > 2, 60_000, 'the stray vote');
  await group.run(5_000);
  for (const place of [1, 2]) {
    const { own, votes } = group.state(place).durable;
    expect(own.head).toBe(1);
    const precommits = Object.values(votes).filter(({ message }) => message.type === 'precommit');
    expect(precommits.map(({ message }) => message.by).sort()).toEqual([1, 2]);
  }
  group.intercept = null;
  await group.until(
    () => [1, 2, 3].every((place) => group.epochOf(place) === 2),
    60_000,
    'the forced change',
  );
  await group.stopAll();
});

test('a forced order for another value, with too few left, or beside other orders is refused', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  await expect(forceEvict(group, 1, [1])).rejects.toThrow();
  await expect(forceEvict(group, 1, [1, 2, 3, 4])).rejects.toThrow('must leave somebody out');
  await expect(forceEvict(group, 1, [1, 2, 9])).rejects.toThrow('must be members');
  const stale = orderOn(
    group,
    group.founding.value,
    { type: 'force-evict', remaining: [1, 2, 3] },
    { sequence: headOf(group.state(1)).lastOrder + 1 },
  );
  await expect(group.node(1).driver?.submitOrder(stale)).rejects.toThrow('on the newest value');
  await group.stopAll();
});

test('one of those who were to remain dies too: an order that leaves fewer takes the others over, and no other order does', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 2 });
  await group.stop(4);
  await group.stop(5);
  await forceEvict(group, 1, [1, 2, 3]);
  await group.until(() => [1, 2, 3].every((place) => group.state(place).durable.own.forced !== null), 10_000);
  await group.stop(3);
  await group.run(5_000);
  expect(group.epochOf(1)).toBe(1);
  await expect(forceEvict(group, 1, [1, 2, 4])).rejects.toThrow('only one that leaves fewer');
  await expect(forceEvict(group, 1, [1, 2, 3])).rejects.toThrow('only one that leaves fewer');
  await expect(group.order(1, { type: 'evict', index: 3 })).rejects.toThrow('a forced eviction runs');
  // Also where one of the two was down when the order came, and has the older instance on its disk.
  await group.stop(2);
  await forceEvict(group, 1, [1, 2]);
  await group.restart(2);
  await group.until(() => [1, 2].every((place) => group.epochOf(place) === 2), 60_000, 'the forced change');
  await group.until(() => group.settledAt(2));
  expect(headOf(group.state(2)).roster.map(({ name }) => name)).toEqual(['p1', 'p2']);
  await group.refresh(2);
  await group.stopAll();
});
