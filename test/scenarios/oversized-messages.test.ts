/** §7.6: one member's oversized messages are kept by nobody, whichever part of them is large. */
import { expect, test } from 'vitest';
import { durableDelta } from '../../src/protocol/machine/durable-records.ts';
import { emptyDurable } from '../../src/protocol/machine/durable-state.ts';
import { headOf } from '../../src/protocol/machine/queries.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import {
  type Frame,
  frameEnvelope,
  frameSchema,
  type Proposal,
} from '../../src/protocol/records/change-messages.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import { leaderOf } from '../../src/protocol/records/roster.ts';
import { step } from '../../src/protocol/step.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fivePeers, forge, messageIn } from './support.ts';

const bytesOf = (state: CoreState): number =>
  durableDelta(emptyDurable(), state.durable).puts.reduce((sum, [, bytes]) => sum + bytes.length, 0);

/** p1 in the middle of the change to epoch 2, with a proposal of round 0 by its honest leader. */
async function inMidChange(): Promise<{ group: Group; victim: CoreState; proposal: Proposal; frame: Frame }> {
  const group = await fivePeers();
  let seen: { proposal: Proposal; frame: Frame } | null = null;
  group.intercept = (_, frame) => {
    const message = messageIn(frame);
    if (message?.type !== 'proposal') return message?.type === 'prevote' ? [] : [frame];
    seen ??= { proposal: message, frame };
    return [frame];
  };
  group.node(1).driver?.refresh();
  await group.until(() => seen !== null && group.state(1).durable.proposals[0] !== undefined);
  return { group, victim: group.state(1), ...(seen as unknown as { proposal: Proposal; frame: Frame }) };
}

/** What p1 keeps after it was sent all of these by p3, and what it sends on. */
function afterAll(victim: CoreState, frames: readonly Frame[]): { grown: number; sent: number } {
  const before = bytesOf(victim);
  let sent = 0;
  const after = frames.reduce((state, frame) => {
    const input = {
      type: 'frame',
      from: 'peer-0003',
      authenticated: true,
      frame: frameEnvelope.encode(frame),
    } as const;
    const stamp = { atMs: state.volatile.nowMs, wallMs: state.volatile.wallMs, entropy: new Uint8Array(32) };
    const result = step(state, { ...input, ...stamp });
    for (const output of result.outputs)
      if (output.type === 'send' || output.type === 'publish')
        sent += frameEnvelope.encode(output.frame).length;
    return result.state;
  }, victim);
  return { grown: bytesOf(after) - before, sent };
}

/** Rounds that p3 leads, up to as many ahead as anybody keeps. */
const roundsOf = (state: CoreState, index: number): number[] =>
  Array.from({ length: limits.roundsAheadMax }, (_, round) => round + 1).filter(
    (round) => leaderOf(headOf(state).roster, headOf(state).epoch, round).index === index,
  );

const large = 3_900_000;
const packet = (bytes: number) => ({ body: new Uint8Array(bytes), signature: new Uint8Array(64) });

test('proposals whose suspensions, clients or orders are large make no durable state grow', async () => {
  const { group, victim, proposal, frame } = await inMidChange();
  const evidence = frame.type === 'message' ? frame.message.evidence : undefined;
  if (evidence === undefined) throw new Error('a proposal comes with its evidence');
  const rounds = roundsOf(victim, 3);
  const propose = (round: number, value: object, shown: object): Frame =>
    forge(
      group.state(3),
      { ...proposal, by: 3, round, value: { ...proposal.value, ...value } },
      { evidence: { ...evidence, ...shown } },
    );
  const suspended = [{ index: 4, first: packet(large), second: packet(1) }];
  const right = { key: '*', operations: ['sign', 'decrypt'], schemes: ['pkcs1', 'pss'] };
  const clients = Array.from({ length: limits.clientsMax }, (_, at) => ({
    name: `client-${at}`.padEnd(63, 'x'),
    publicKey: new Uint8Array(32).fill(at),
    rights: Array.from({ length: limits.rightsPerClientMax }, () => right),
    ratePerMinute: 1,
  }));
  const commitments = Array.from({ length: 64 }, () => new Uint8Array(512).fill(1));
  const action = {
    type: 'create-key',
    name: 'k',
    use: 'sign',
    kind: 'rsa',
    public: new Uint8Array(limits.keyPublicBytesMax).fill(1),
    commitments,
  };
  const orders = Array.from({ length: limits.ordersPerPlanMax }, (_, at) => ({
    body: {
      cluster: victim.clusterId,
      ancestor: victim.clusterId,
      ancestorEpoch: 0,
      sequence: at + 1,
      action,
    },
    signatures: [{ operator: 0, signature: new Uint8Array(64) }],
  }));
  const frames = rounds.flatMap((round, at) => [
    propose(
      round,
      at % 3 === 0 ? { suspended } : at % 3 === 1 ? { clients } : {},
      at % 3 === 2 ? { orders } : {},
    ),
  ]);
  expect(frames.length).toBeGreaterThanOrEqual(12);
  const { grown, sent } = afterAll(victim, frames);
  expect(grown).toBeLessThan(100_000);
  expect(sent).toBeLessThan(100_000);
});

test('what comes beside a message and does not belong to it is refused with it', async () => {
  const { group, victim, frame } = await inMidChange();
  const evidence = frame.type === 'message' ? frame.message.evidence : undefined;
  if (evidence === undefined) throw new Error('a proposal comes with its evidence');
  const trials = [new Uint8Array(limits.trialBytesMax)];
  const have = Object.values(group.state(3).durable.haves).find(({ message }) => message.by === 3);
  const messages = roundsOf(victim, 3).flatMap((round) =>
    ['prevote', 'precommit'].map((type) => ({
      v: 1,
      type,
      by: 3,
      epoch: 2,
      round,
      instance: null,
      value: null,
    })),
  );
  const frames = [...messages, ...(have === undefined ? [] : [have.message])].flatMap((message) =>
    [{ evidence }, { trials }, { orders: [] }].map(
      (beside): Frame => ({
        type: 'message',
        message: { ...carriedIn(forge(group.state(3), message)), ...beside },
      }),
    ),
  );
  expect(afterAll(victim, frames)).toEqual({ grown: 0, sent: 0 });
});

const carriedIn = (frame: Frame) => {
  if (frame.type !== 'message') throw new Error('no message');
  return frame.message;
};

test('votes and proposals of rounds that everybody has dropped are not taken up again', async () => {
  const { group, victim, proposal, frame } = await inMidChange();
  const evidence = frame.type === 'message' ? frame.message.evidence : undefined;
  const { rounds } = victim.durable.own;
  if (rounds === null || evidence === undefined) throw new Error('the change is under way');
  const own = { ...victim.durable.own, rounds: { ...rounds, round: 1_000, valid: null, locked: null } };
  const late: CoreState = { ...victim, durable: { ...victim.durable, own } };
  const vote = (round: number) => ({ type: 'prevote', by: 3, epoch: 2, round, instance: null, value: null });
  const old = Array.from({ length: 900 }, (_, round) => forge(group.state(3), vote(round)));
  const proposals = roundsOf(victim, 3).map((round) =>
    forge(group.state(3), { ...proposal, by: 3, round }, { evidence }),
  );
  expect(afterAll(late, [...old, ...proposals]).grown).toBe(0);
  expect(afterAll(late, [forge(group.state(3), vote(990))]).grown).toBeGreaterThan(0);
});

test('of rounds ahead one proposal of each leader is kept, the latest', async () => {
  const { group, victim, proposal, frame } = await inMidChange();
  const evidence = frame.type === 'message' ? frame.message.evidence : undefined;
  if (evidence === undefined) throw new Error('a proposal comes with its evidence');
  const of = (round: number) => forge(group.state(3), { ...proposal, by: 3, round }, { evidence });
  const one = afterAll(victim, [of(roundsOf(victim, 3)[0] as number)]).grown;
  const all = afterAll(victim, roundsOf(victim, 3).map(of)).grown;
  expect(one).toBeGreaterThan(1_000);
  expect(Math.abs(all - one)).toBeLessThan(100);
});

test('no message is longer than its kind can be, and no frame than its parts together', () => {
  const long = { body: new Uint8Array(limits.shortBodyBytesMax + 1), signature: new Uint8Array(64) };
  const short = { body: new Uint8Array(limits.shortBodyBytesMax), signature: new Uint8Array(64) };
  const framesWith = (packetIn: typeof long): object[] => [
    { type: 'contradiction', first: packetIn, second: packetIn },
    { type: 'accusation', packet: packetIn },
    { type: 'recovery', packet: short, beside: [packetIn] },
    { type: 'retire', proof: { epoch: 1, readys: [packetIn], proofs: [] } },
  ];
  for (const frame of framesWith(long)) expect(frameSchema.safeParse(frame).success).toBe(false);
  for (const frame of framesWith(short)) expect(frameSchema.safeParse(frame).success).toBe(true);
  const publics = [new Uint8Array(limits.dealingPublicBytesMax + 1)];
  expect(frameSchema.safeParse({ type: 'publics', publics }).success).toBe(false);
  for (const tooMany of [0, 1]) {
    const recalled = { ...short, body: new Uint8Array(limits.proposalBytesMax + tooMany) };
    const frame = { type: 'recalled', packet: short, packets: [recalled] };
    expect(frameSchema.safeParse(frame).success).toBe(tooMany === 0);
  }
});
