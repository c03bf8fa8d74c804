/** §7.6: nothing that a peer sends can crash another, nor keep it from what honest peers say. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { headOf, selfIn } from '../../src/protocol/machine/queries.ts';
import {
  type Carried,
  dealingPublicSchema,
  digestOfDealing,
  type Frame,
  frameEnvelope,
  messageSchema,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import type { Order } from '../../src/protocol/records/order.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import { operatorDealer } from '../../src/protocol/records/value.ts';
import { step } from '../../src/protocol/step.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { dealersOf, fired, fivePeers, forge, linkOf, messageIn, roundOf } from './support.ts';

const refusals = (group: Group, node: number, code: string): number =>
  group.node(node).outputs.filter((output) => output.type === 'refused' && output.code === code).length;

test('the hash of garbage in a Have and in a proposal is asked for by nobody, and the garbage is not stored', async () => {
  const group = await fivePeers();
  const garbage = new Uint8Array([0xff, 1, 2, 3]);
  const digest = digestOfDealing(garbage);
  const sorted = (list: Uint8Array[]) => list.sort((a, b) => Buffer.compare(a, b));
  group.intercept = ({ from }, frame) => {
    if (from !== 'p2') return [frame];
    if (frame.type === 'summary') return [frame, { type: 'publics', publics: [garbage] }];
    const message = messageIn(frame);
    if (message?.type === 'have' && message.by === 2)
      return [forge(group.state(2), { ...message, digests: sorted([...message.digests, digest]) })];
    if (message?.type === 'proposal' && message.by === 2 && frame.type === 'message') {
      const accepted = message.value.accepted.map((one) => (one.dealer === 5 ? { ...one, digest } : one));
      const { evidence } = frame.message;
      if (evidence === undefined) return [];
      return [forge(group.state(2), { ...message, value: { ...message.value, accepted } }, { evidence })];
    }
    return [frame];
  };
  group.node(1).driver?.refresh();
  const honest = [1, 3, 4, 5];
  await group.until(() => honest.every((index) => group.state(index).durable.own.retired === 2));
  for (const index of honest) expect(group.state(index).durable.publics[hex(digest)]).toBeUndefined();
  expect(dealersOf(linkOf(group.state(1), 2)).length).toBeGreaterThanOrEqual(4);
});

test('dealings of nothing, and proposals that name more dealings than there can be, neither stop leaders nor catching up', async () => {
  const group = await fivePeers();
  const nothingFor = (plan: Uint8Array) =>
    encode({ v: 1, epoch: 2, plan, dealer: operatorDealer, parts: [] });
  const sorted = (list: Uint8Array[]) => list.sort((a, b) => Buffer.compare(a, b));
  const anything = (seed: number) =>
    sorted(Array.from({ length: 90 }, (_, at) => digestOfDealing(encode([seed, at])))).map((digest, at) => ({
      dealer: at % 60,
      digest,
    }));
  // p2 leads rounds 0, 5 and 10. What it proposes would have each ask for 270 public halves, and store them.
  let flooded = 0;
  group.intercept = ({ from, to }, frame) => {
    if (from !== 'p2') return [frame];
    const message = messageIn(frame);
    if (message?.type === 'have' && message.by === 2) {
      const half = nothingFor(message.plan);
      const digests = sorted([...message.digests, digestOfDealing(half)]);
      return [forge(group.state(2), { ...message, digests }), { type: 'publics', publics: [half] }];
    }
    if (message?.type !== 'proposal' || message.by !== 2 || frame.type !== 'message') return [frame];
    const { evidence } = frame.message;
    if (evidence === undefined) return [];
    const { value } = message;
    const digest = digestOfDealing(nothingFor(value.plan));
    const listed = { ...value, accepted: [{ dealer: operatorDealer, digest }, ...value.accepted] };
    flooded += 1;
    return [
      forge(group.state(2), { ...message, value: listed }, { evidence }),
      ...[5, 10].map((round) =>
        forge(
          group.state(2),
          { ...message, round, value: { ...value, accepted: anything(round) } },
          { evidence },
        ),
      ),
      { type: 'publics', publics: [nothingFor(value.plan)] },
      ...(to === 'p1' ? [{ type: 'publics' as const, publics: [encode({ not: 'a dealing' })] }] : []),
    ];
  };
  group.node(1).driver?.refresh();
  const honest = [1, 3, 4, 5];
  await group.until(() => honest.every((index) => group.state(index).durable.own.retired === 2));
  expect(flooded).toBeGreaterThan(0);
  for (const index of honest) {
    expect(refusals(group, index, 'malformed')).toBe(0);
    for (const output of group.node(index).outputs)
      if (output.type === 'send' && output.frame.type === 'summary')
        expect(output.frame.wanted.length).toBeLessThanOrEqual(5);
  }
});

test('an honest value, proposed by a liar for an earlier round with nothing behind it, is decided all the same', async () => {
  const group = await fivePeers();
  const nothing = { attends: [], haves: [], orders: [], prevotes: [] };
  let told = 0;
  // p2 leads round 0 and is silent; with its prevotes in round 1 goes that round's value, as its own of round 0.
  group.intercept = ({ from }, frame) => {
    const message = messageIn(frame);
    if (from !== 'p2') return [frame];
    if (frame.type === 'links') return []; // what it decides it tells nobody
    if (message === null) return [frame];
    if (message.type === 'proposal' && message.by === 2) return [];
    if (message.type !== 'prevote' || message.by !== 2 || message.round !== 1) return [frame];
    const value = group.state(2).durable.proposals[1]?.message.value;
    if (value === undefined) return [frame];
    const { instance, epoch } = message;
    const again = { type: 'proposal', by: 2, epoch, round: 0, instance, validRound: -1, value };
    told += 1;
    return [forge(group.state(2), again, { evidence: nothing }), frame];
  };
  group.node(1).driver?.refresh();
  await group.until(() => [1, 3, 4, 5].every((index) => group.epochOf(index) === 2));
  expect(told).toBeGreaterThanOrEqual(4);
  for (const index of [1, 3, 4, 5]) expect(roundOf(linkOf(group.state(index), 2))).toBe(1);
});

test('whoever passes a proposal on cannot spoil it by other evidence', async () => {
  const group = await fivePeers();
  const nothing = { attends: [], haves: [], orders: [], prevotes: [] };
  group.intercept = ({ to }, frame) => {
    if (to !== 'p4' || frame.type !== 'message' || messageIn(frame)?.type !== 'proposal') return [frame];
    return [{ type: 'message', message: { ...frame.message, evidence: nothing } }, frame];
  };
  await group.refresh(1);
  expect(roundOf(linkOf(group.state(4), 2))).toBe(0);
  expect(refusals(group, 4, 'bad-proposal')).toBeGreaterThan(0);
  expect(fired(group, 4, 'invalid-proposal')).toBe(false);
});

test('a dealing in the name of another is refused, and its alleged dealer is blamed for nothing', async () => {
  const group = await fivePeers();
  // p5 deals to p1 in the name of p4, whose own dealing comes later.
  let told = false;
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (to !== 'p1' || message?.type !== 'dealing') return [frame];
    if (from === 'p4' && !told) return [];
    if (from !== 'p5' || told) return [frame];
    told = true;
    const half = { ...decode(dealingPublicSchema, message.public), dealer: 4 };
    return [frame, forge(group.state(5), { ...message, by: 4, public: encode(half) })];
  };
  await group.refresh(1);
  expect(told).toBe(true);
  expect(refusals(group, 1, 'bad-signature')).toBe(1);
  for (const index of [1, 2, 3, 4, 5]) {
    expect(group.state(index).durable.blames).toEqual({});
    expect(group.state(index).durable.accusations).toEqual({});
  }
  expect(dealersOf(linkOf(group.state(1), 2))).toContain(4);
});

test('what comes early for the next change is kept within a bound of messages and of bytes', async () => {
  const group = await fivePeers();
  const { epoch } = headOf(group.state(1));
  const { early } = group.state(1).volatile;
  expect(early).toEqual([]);
  const action = {
    ...{ type: 'create-key', name: 'big', kind: 'rsa', use: 'sign', public: new Uint8Array([1]) },
    commitments: Array.from({ length: 64 }, () => new Uint8Array(512).fill(1)),
    dealingKey: new Uint8Array(32),
  };
  const hash = new Uint8Array(32);
  const body = { v: 1, cluster: hash, ancestor: hash, ancestorEpoch: 1, sequence: 1, actions: [action] };
  const orders = Array.from({ length: 5 }, () => ({
    body,
    signatures: [{ operator: 0, signature: new Uint8Array(64) }],
  })) as unknown as Order[];
  const tell = async (serial: number, extra: Omit<Carried, 'packet'> = {}, by = 5) => {
    const keys = { epochKey: new Uint8Array(32).fill(serial), sealingKey: hash };
    const attend = { type: 'attend', by, epoch: epoch + 2, plan: hash, ...keys };
    const frame = frameEnvelope.encode(forge(group.state(by), attend, extra));
    expect(frame.length > limits.earlyBytesMax).toBe(extra.orders !== undefined);
    await group
      .node(1)
      .driver?.dispatch({ type: 'frame', from: `peer-000${by}`, authenticated: true, frame });
  };
  const waitingOf = (peer: string) =>
    group.state(1).volatile.early.filter(({ from }) => from === peer).length;
  await tell(0, { orders });
  expect(group.state(1).volatile.early).toEqual([]);
  expect(refusals(group, 1, 'malformed')).toBe(0);
  await tell(0, {}, 2);
  for (let serial = 0; serial < limits.earlyMessages + 50; serial += 1) {
    await tell(serial % 256);
    expect(group.state(1).volatile.early).toHaveLength(Math.min(serial + 2, limits.earlyMessages));
  }
  // Who floods pushes out its own.
  expect(waitingOf('peer-0002')).toBe(1);
  // Nothing of it stays when the change that it came too early for is decided.
  await group.refresh(1);
  expect(group.state(1).volatile.early).toEqual([]);
  await group.refresh(1);
});

test('a member that signs its messages with anything in them crashes no core', async () => {
  const group = await fivePeers();
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4, 5].every((index) => fired(group, index, 'precommit', { epoch: 2 })));
  const victim = group.state(1);
  const liar = group.state(2);
  const secret = liar.durable.epochSecrets[hex(selfIn(liar)?.epochKey ?? new Uint8Array())];
  if (secret === undefined) throw new Error('p2 holds its epoch key');
  const { durable } = liar;
  const carried: Carried[] = [
    ...[durable.attends, durable.haves, durable.proposals, durable.votes].flatMap((section) =>
      Object.values(section)
        .filter(({ message }) => message.by === 2)
        .map((entry) => entry.carried),
    ),
    ...Object.values(durable.outbox).map(({ packet }) => ({ packet })),
  ];
  expect(new Set(carried.map(({ packet }) => decode(messageSchema, packet.body).type))).toEqual(
    new Set(['attend', 'have', 'proposal', 'prevote', 'precommit', 'dealing']),
  );
  const mutation = fc.oneof(
    fc.uint8Array({ maxLength: 70 }),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.integer({ min: -2, max: 70 }),
    fc.constant(null),
    fc.constant([]),
    fc.constant({}),
    fc.maxSafeInteger(),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...carried),
      fc.array(fc.tuple(fc.nat(40), mutation), { minLength: 1, maxLength: 3 }),
      (original, changes) => {
        const message: unknown = decode(messageSchema, original.packet.body);
        for (const [place, change] of changes) changeAt(message, place, change);
        const packet = signPacket(victim.clusterId, secret, encode(message));
        const frame: Frame = { type: 'message', message: { ...original, packet } };
        const { outputs } = step(victim, {
          type: 'frame',
          from: group.node(2).peer,
          authenticated: true,
          frame: frameEnvelope.encode(frame),
          atMs: victim.volatile.nowMs + 1,
          wallMs: victim.volatile.wallMs + 1,
          entropy: new Uint8Array(32),
        });
        expect(outputs.some((output) => output.type === 'rule' && output.rule === 'adopt')).toBe(false);
      },
    ),
    { numRuns: 400 },
  );
  expect(headOf(victim).epoch).toBe(1);
});

/** Puts `change` in the place of the n-th field of a tree, counted from the top. */
function changeAt(tree: unknown, place: number, change: unknown): void {
  const fields: [Record<string, unknown>, string][] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null || node instanceof Uint8Array) return;
    for (const name of Object.keys(node)) {
      fields.push([node as Record<string, unknown>, name]);
      visit((node as Record<string, unknown>)[name]);
    }
  };
  visit(tree);
  const field = fields[place % fields.length];
  if (field !== undefined && field[1] !== 'type') field[0][field[1]] = change;
}
