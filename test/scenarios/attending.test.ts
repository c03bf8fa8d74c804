/** §4.1 and §4.2: who takes part, in which plan, and what happens to those who come late or say two things. */

import { expect, test } from 'vitest';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { attendedPlans, headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { Action } from '../../src/protocol/records/order.ts';
import { memberAt } from '../../src/protocol/records/roster.ts';
import { groupWithKey } from '../../src/simulation/world/group.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { dealersOf, fired, fivePeers, forge, linkOf, messageIn, roundOf } from './support.ts';
import { Transcript } from './transcript.ts';

const addClient = (name: string): Action => ({
  type: 'add-client',
  client: { name, publicKey: seededBytes(name)(32), rights: [], ratePerMinute: 0 },
});

test('who attends after the others have dealt is served until the decision, and needs no recovery', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p5 connects only when the others have dealt to each other');
  const others = [1, 2, 3, 4].map((index) => group.node(index).peer);
  group.network.partition([others, [group.node(5).peer]]);
  group.node(1).driver?.refresh();
  await group.until(() =>
    [1, 2, 3, 4].every((index) => fired(group, index, 'have', { epoch: 2, dealings: 4 })),
  );
  expect(group.state(1).durable.own.rounds?.round).toBe(0);
  group.network.heal();
  transcript.note('p5 is connected');
  await group.until(() => group.settledAt(2));
  expect(dealersOf(linkOf(group.state(1), 2))).toEqual([1, 2, 3, 4, 5]);
  expect(fired(group, 5, 'apply', { epoch: 2 })).toBe(true);
  transcript.expectGolden('late-attender');
});

test('an order that arrives within a change joins it: the longest plan wins the next round', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(
    group,
    'a refresh is under way, its leader is silent, and an order arrives',
  );
  group.intercept = ({ from }, frame) =>
    from === 'p2' && messageIn(frame)?.type === 'proposal' ? [] : [frame];
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 1, 'prevote', { epoch: 2, round: 0, value: 'nil' }));
  await group.order(4, addClient('deploy'));
  transcript.note('p4 is given an order');
  await group.until(() => group.settledAt(2));
  const link = linkOf(group.state(1), 2);
  expect(link.value.clients.map(({ name }) => name)).toEqual(['deploy']);
  expect(link.value.lastOrder).toBe(headOf(group.state(1)).lastOrder);
  expect(roundOf(link)).toBe(1);
  transcript.expectGolden('two-plans');
});

test('an order whose dealing never comes does not stop a refresh: after three rounds odd ones take the bare plan', async () => {
  const group = await fivePeers({ timing: { minimumIntervalMs: 600_000 } });
  await group.run(600_000);
  const transcript = new Transcript(group, 'a key is ordered, and its dealing never comes');
  const order = await group.order(1, group.newKey('never-dealt', 1, samplePrimes(512, 2)).action);
  await group.until(() => group.epochOf(1) === 2);
  const link = linkOf(group.state(1), 2);
  expect(roundOf(link)).toBe(3);
  expect(link.value.keys.map(({ name }) => name)).toEqual(['key']);
  expect(link.value.lastOrder).toBe(1);
  expect(group.state(1).durable.orders[order.body.sequence]).toBeDefined();
  await group.until(() => group.settledAt(2));
  transcript.expectGolden('order-never-dealt');

  // It does not start one change after another, and the operators can put another order in its place.
  await group.run(60_000);
  expect(attendedPlans(group.state(1))).toEqual([]);
  const instead = await group.order(1, addClient('instead'));
  expect(instead.body.sequence).toBe(order.body.sequence);
  await group.run(600_000);
  await group.until(() => group.settledAt(3));
  expect(headOf(group.state(5)).clients.map(({ name }) => name)).toEqual(['instead']);
  expect(roundOf(linkOf(group.state(1), 3))).toBe(0);
});

test('gates that let too few deal cost one round: from round 1 on everybody deals', async () => {
  const group = await fivePeers({ gate: 0.99, key: false });
  const transcript = new Transcript(group, 'all gates are at 0.99');
  await group.refresh(1);
  expect(roundOf(linkOf(group.state(1), 1))).toBe(1);
  expect(dealersOf(linkOf(group.state(1), 1))).toEqual([1, 2, 3, 4, 5]);
  transcript.expectGolden('closed-gate');
});

test('a member with two Attends for one plan is left out and named, and no value is refused for it', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p5 announces two sets of keys');
  const random = seededBytes('the other keys of p5');
  const epochKey = ed25519FromSeed(random(32)).publicKey;
  const sealingKey = sealingKeyFromSeed(random(32)).publicKey;
  group.intercept = ({ from }, frame) => {
    const message = messageIn(frame);
    if (from !== 'p5' || message?.type !== 'attend' || message.by !== 5 || frame.type !== 'message')
      return [frame];
    const { packet: _, ...beside } = frame.message;
    return [frame, forge(group.state(5), { ...message, epochKey, sealingKey }, beside)];
  };
  const before = memberAt(headOf(group.state(1)).roster, 5)?.epochKey ?? new Uint8Array();
  group.node(1).driver?.refresh();
  const honest = [1, 2, 3, 4];
  await group.until(() =>
    honest.every((index) => group.state(index).durable.own.retired === 2 && holdsShare(group.state(index))),
  );
  const link = linkOf(group.state(1), 2);
  expect(dealersOf(link)).toEqual([1, 2, 3, 4]);
  expect(hex(memberAt(link.value.roster, 5)?.epochKey ?? new Uint8Array())).toBe(hex(before));
  for (const index of honest) expect(group.state(index).durable.notes[2]?.contradicted).toEqual([5]);
  expect(link.value.suspended.map(({ index }) => index)).toEqual([5]);
  expect(attendedPlans(group.state(1))).toEqual([]);
  transcript.expectGolden('two-attends');
});

test('two orders with one number, given to two members, do not part the group: all keep the same one', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 }); // a quorum is all three
  await group.order(1, addClient('one'));
  await group.order(3, addClient('other'));
  await group.until(() => group.settledAt(2), 30_000, 'a change with one of them');
  expect(headOf(group.state(2)).clients).toHaveLength(1);
  // The other one is used up, and the next number is free.
  await group.order(3, addClient('third'));
  await group.until(() => group.settledAt(3), 30_000, 'the next change');
  expect(headOf(group.state(1)).clients).toHaveLength(2);
  await group.stopAll();
});
