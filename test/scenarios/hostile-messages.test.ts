/** §7.6: nothing that a peer sends can crash another, nor keep it from what honest peers say. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, encode, hex } from '../../src/protocol/codec.ts';
import { type Carried, digestOfDealing, type Frame, messageSchema } from '../../src/protocol/messages.ts';
import { signPacket } from '../../src/protocol/packet.ts';
import { headOf, selfIn } from '../../src/protocol/queries.ts';
import { step } from '../../src/protocol/step.ts';
import type { Group } from '../support/group.ts';
import { dealersOf, fired, fivePeers, forge, linkOf, messageIn, roundOf } from './support.ts';

const refusals = (group: Group, node: number, code: string): number =>
  group.node(node).outputs.filter((output) => output.type === 'refused' && output.code === code).length;

test('the hash of garbage in a Have and in a proposal, and then the garbage, stop nobody', async () => {
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
  expect(honest.some((index) => refusals(group, index, 'malformed') > 0)).toBe(true);
  for (const index of honest) expect(group.state(index).durable.publics[hex(digest)]).toBeUndefined();
  expect(dealersOf(linkOf(group.state(1), 2)).length).toBeGreaterThanOrEqual(4);
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
          frame: encode(frame),
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
  const fields: Array<[Record<string, unknown>, string]> = [];
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
