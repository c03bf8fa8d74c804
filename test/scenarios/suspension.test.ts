import { expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { judge } from '../../src/protocol/change/validity.ts';
import { attendsOf, headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { frameEnvelope, messageSchema } from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import { type Packet, signPacket } from '../../src/protocol/records/packet.ts';
import { groupWithKey } from '../../src/simulation/world/group.ts';
import { fired } from './support.ts';

test('a member with two Attends for one plan is left out, recorded with both, and suspended until it is evicted', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  // p5's epoch key is in other hands too: somebody signs a second Attend with it.
  const self = headOf(group.state(5)).roster[4]!;
  const secret = group.state(5).durable.epochSecrets[Buffer.from(self.epochKey).toString('hex')]!;
  group.node(1).driver?.refresh();
  await group.until(() => Object.keys(group.state(1).durable.plans).length > 0);
  const plan = Object.keys(group.state(1).durable.plans)[0]!;
  await group.until(() => attendsOf(group.state(1), plan).some(({ message }) => message.by === 5));
  const second = encode({
    v: 1,
    type: 'attend',
    by: 5,
    epoch: headOf(group.state(1)).epoch + 1,
    plan: new Uint8Array(Buffer.from(plan, 'hex')),
    epochKey: ed25519FromSeed(group.random(32)).publicKey,
    sealingKey: group.random(32),
  });
  const packet = signPacket(group.state(1).clusterId, secret, second);
  const frame = frameEnvelope.encode({ type: 'message', message: { packet } });
  for (const node of group.nodes.slice(0, 4))
    void node.driver?.dispatch({ type: 'gossip', from: 'peer-0005', frame });
  await group.until(() => group.epochOf(1) === 2 && group.epochOf(5) === 2);

  const value = headOf(group.state(1));
  expect(value.suspended.map(({ index }) => index)).toEqual([5]);
  expect(value.accepted.map(({ dealer }) => dealer)).not.toContain(5);

  // It takes no part in the next change, the others go on, and it gets no share from them.
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 1, 'prevote', { epoch: 3 }));
  // What stands behind a suspension stays as it is, byte for byte: the values after it carry it on.
  const judging = group.state(1);
  const { message: proposal, carried } = Object.values(judging.durable.proposals)[0]!;
  const [kept] = proposal.value.suspended;
  const junk = { body: new Uint8Array(300_000), signature: new Uint8Array(64) };
  const bent = { ...proposal.value, suspended: [{ ...kept!, second: junk }] };
  expect(judge(judging, proposal.value, carried.evidence!).verdict).toBe('valid');
  expect(judge(judging, bent, carried.evidence!)).toMatchObject({
    why: expect.stringContaining('suspension'),
  });
  await group.until(() =>
    [1, 2, 3, 4].every((index) => group.epochOf(index) === 3 && group.state(index).durable.own.retired === 3),
  );
  await group.until(() => group.epochOf(5) === 3);
  await group.run(10_000);
  expect(holdsShare(group.state(5))).toBe(false);
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);

  await group.order(1, { type: 'evict', index: 5 });
  await group.until(() => group.epochOf(1) === 4);
  expect(headOf(group.state(1)).suspended).toEqual([]);
  await group.stopAll();
});

test('two Attends of which each half of the group holds one meet in the proposal, and the next value suspends', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  const state = group.state(5);
  const secret = state.durable.epochSecrets[hex(headOf(state).roster[4]!.epochKey)]!;
  const other = ed25519FromSeed(group.random(32)).publicKey;
  // What p5 says to p1 and p2 of its next epoch key is not what it says to p3 and p4.
  group.intercept = ({ to }, frame) => {
    if (!['p1', 'p2'].includes(to) || frame.type !== 'message') return [frame];
    const message = decode(messageSchema, frame.message.packet.body);
    if (message.type !== 'attend' || message.by !== 5) return [frame];
    const packet = signPacket(state.clusterId, secret, encode({ ...message, epochKey: other }));
    return [{ ...frame, message: { ...frame.message, packet } }];
  };
  await group.refresh(1);
  group.intercept = null;
  expect(headOf(group.state(1)).suspended).toEqual([]);
  // Both halves have both now, also those that decided already.
  for (const place of [1, 2, 3, 4])
    expect(Object.keys(group.state(place).durable.contradictions)).toHaveLength(1);
  group.node(2).driver?.refresh();
  await group.until(() => group.epochOf(1) === 3);
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);
  await group.until(() => [1, 2, 3, 4].every((place) => group.epochOf(place) === 3));
  for (const place of [1, 2, 3, 4]) expect(group.state(place).durable.contradictions).toEqual({});
  await group.stopAll();
});

test('nobody is suspended by Attends that it did not sign, that are for two plans, or that are the same', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  const { clusterId, durable } = group.state(4);
  const secretOf = (index: number) => {
    const member = headOf(group.state(index)).roster[index - 1]!;
    return group.state(index).durable.epochSecrets[hex(member.epochKey)]!;
  };
  const attend = (plan: number, key: number) => ({
    ...{ v: 1, type: 'attend', by: 4, epoch: durable.own.head + 1, plan: new Uint8Array(32).fill(plan) },
    ...{ epochKey: new Uint8Array(32).fill(key), sealingKey: new Uint8Array(32).fill(9) },
  });
  const signed = (body: object, by = 4) => signPacket(clusterId, secretOf(by), encode(body));
  const pairs = [
    [signed(attend(1, 1)), signed(attend(1, 2), 3)],
    [signed(attend(1, 1)), signed(attend(2, 2))],
    [signed(attend(1, 1)), signed(attend(1, 1))],
    [signed({ ...attend(1, 1), epoch: 9 }), signed({ ...attend(1, 2), epoch: 9 })],
  ];
  const tell = (pair: Packet[] | undefined) =>
    group.node(1).driver!.dispatch({
      type: 'gossip',
      from: 'peer-0002',
      frame: frameEnvelope.encode({
        type: 'contradiction',
        first: pair?.[0] as Packet,
        second: pair?.[1] as Packet,
      }),
    });
  for (const pair of pairs) await tell(pair);
  expect(group.state(1).durable.contradictions).toEqual({});
  expect(group.state(1).durable.blames).toEqual({});
  await tell([signed(attend(1, 1)), signed(attend(1, 2))]);
  await tell([signed(attend(2, 1)), signed(attend(2, 2))]); // one is enough: it shall not fill the store
  expect(Object.keys(group.state(1).durable.contradictions)).toHaveLength(1);
  await group.stopAll();
});
