/**
 * §4.3, §7.6: what a liar proposes for the rounds that it leads costs the others next to nothing, and costs
 * it their patience.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Output } from '../../src/protocol/machine/io.ts';
import { headOf, listedSecret } from '../../src/protocol/machine/queries.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import {
  attendSchema,
  type Evidence,
  type Frame,
  frameEnvelope,
  type Proposal,
  readySchema,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode } from '../../src/protocol/records/codec.ts';
import { type Packet, signPacket } from '../../src/protocol/records/packet.ts';
import { step } from '../../src/protocol/step.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fivePeers, forge, messageIn } from './support.ts';

// p2 leads round 0 of the change from epoch 1 to epoch 2, and p5 judges what it proposes.

/**
 * Signatures that were really checked: those made in this process are known to be good, as are those checked
 * before.
 */
let verified = 0;
const { verify } = crypto;
beforeEach(() => {
  verified = 0;
  const counting = ((...args: Parameters<typeof verify>) => {
    verified += 1;
    return verify(...args);
  }) as typeof verify;
  crypto.verify = counting;
  syncBuiltinESMExports();
});
afterEach(() => {
  crypto.verify = verify;
  syncBuiltinESMExports();
});

interface Scene {
  group: Group;
  liar: CoreState;
  proposal: Proposal;
  evidence: Evidence;
  frame: Frame;
  /** p5 just before the proposal came. */
  before: CoreState;
}

async function scene(): Promise<Scene> {
  const group = await fivePeers();
  let frame: Frame | null = null;
  let before: CoreState | null = null;
  group.intercept = ({ from, to }, sent) => {
    if (messageIn(sent)?.type !== 'proposal' || to !== 'p5') return [sent];
    if (from === 'p2' && frame === null) {
      frame = sent;
      before = group.state(5);
    }
    return [];
  };
  group.node(1).driver?.refresh();
  await group.until(() => frame !== null);
  const found = frame as Frame | null;
  const proposal = found && messageIn(found);
  if (found?.type !== 'message' || proposal?.type !== 'proposal' || before === null)
    throw new Error('no proposal');
  const { evidence } = found.message;
  if (evidence === undefined) throw new Error('no evidence');
  return { group, liar: group.state(2), proposal, evidence, frame: found, before };
}

type Refused = Extract<Output, { type: 'refused' }>;

/** Steps through frames that come from this peer, and tells what was refused. */
function fed(group: Group, start: CoreState, from: number, frames: readonly Frame[]) {
  let state = start;
  const outputs: Output[] = [];
  for (const frame of frames) {
    const { nowMs: atMs } = state.volatile;
    const input = { from: group.node(from).peer, authenticated: true, frame: frameEnvelope.encode(frame) };
    const stepped = step(state, { type: 'frame', ...input, atMs, wallMs: 0, entropy: new Uint8Array(32) });
    state = stepped.state;
    outputs.push(...stepped.outputs);
  }
  const refused = outputs.filter((output): output is Refused => output.type === 'refused');
  return { state, outputs, refused, actions: refused.map(({ action }) => action) };
}

/** The same Attend with another key, and with a signature that is none. */
function garbled({ body, signature }: Packet, key: number, at: number): Packet {
  const attend = { ...decode(attendSchema, body), sealingKey: new Uint8Array(32).fill(key) };
  return {
    body: encode(attend),
    signature: signature.map((byte, place) => (place === 5 ? byte ^ (at + 1) : byte)),
  };
}

const flood = ({ liar, proposal, evidence }: Scene, shown: (at: number) => Packet[], many = 60): Frame[] =>
  Array.from({ length: many }, (_, at) =>
    forge(liar, proposal, { evidence: { ...evidence, attends: shown(at) } }),
  );

test('two Attends of one member are refused before a signature is checked, and their author is reproached', async () => {
  const all = await scene();
  const [first] = all.evidence.attends as [Packet];
  const frames = flood(all, (at) => Array.from({ length: 64 }, (_, place) => garbled(first, at, place)));
  verified = 0;
  const { state, actions } = fed(all.group, all.before, 2, frames);
  expect(verified).toBe(0);
  expect(actions).toEqual(frames.map(() => 'reject'));
  expect(state.durable.proposals).toEqual({});
});

test('two of one member are refused among five, too: as Attends, Haves or prevotes', async () => {
  const all = await scene();
  const { liar, proposal, evidence } = all;
  const [attend, have] = [evidence.attends[0] as Packet, evidence.haves[0] as Packet];
  const vote = { v: 1, type: 'prevote', by: 2, epoch: 2, round: 0, instance: null };
  const prevotes = [1, 2].map((fill) => {
    const body = encode({ ...vote, value: new Uint8Array(32).fill(fill) });
    return { body, signature: new Uint8Array(64) };
  });
  for (const swollen of [
    { ...evidence, attends: [attend, garbled(attend, 1, 1)] },
    { ...evidence, haves: [have, have] },
    { ...evidence, prevotes },
  ]) {
    const frame = forge(liar, proposal, { evidence: swollen });
    verified = 0;
    expect(fed(all.group, all.before, 2, [frame]).refused).toMatchObject([
      { action: 'reject', why: expect.stringMatching(/^it shows two \w+ of one member$/) },
    ]);
    expect(verified).toBe(0);
  }
});

test('of proposals with one false Attend of each member only the first two of a round are looked at', async () => {
  const all = await scene();
  const frames = flood(all, (at) => all.evidence.attends.map((packet) => garbled(packet, at, at)));
  verified = 0;
  const { state, refused } = fed(all.group, all.before, 2, frames);
  expect(verified).toBeLessThanOrEqual(2 * (5 + 1));
  expect(refused.map(({ action }) => action)).toEqual(frames.map(() => 'reject'));
  expect(refused.slice(2).every(({ code }) => code === 'contradiction')).toBe(true);
  expect(Object.values(state.durable.blames)).toMatchObject([{ by: 2, kind: 'contradiction' }]);
});

test('beside a proposal that is kept only one other of its round is looked at', async () => {
  const all = await scene();
  const frames = flood(all, (at) => all.evidence.attends.map((packet) => garbled(packet, at, at)));
  const { state: kept, refused } = fed(all.group, all.before, 2, [all.frame, all.frame]);
  expect(refused).toEqual([]);
  verified = 0;
  const { state, actions } = fed(all.group, kept, 2, [...frames, all.frame]);
  expect(verified).toBeLessThanOrEqual(5);
  expect(actions).toEqual(frames.map(() => 'reject')); // what is kept may always come again
  expect(Object.keys(state.durable.proposals)).toEqual(['0']);
  expect(Object.values(state.durable.blames)).toMatchObject([{ by: 2, kind: 'contradiction' }]);
});

test('whoever passes such proposals on is not reproached', async () => {
  const all = await scene();
  const frames = flood(all, (at) => all.evidence.attends.map((packet) => garbled(packet, at, at)), 5);
  expect(fed(all.group, all.before, 3, frames).actions).toEqual(frames.map(() => 'ignore'));
});

test('nobody is reproached by a member that lacks what a leader judges by, or follows another value', async () => {
  const all = await scene();
  const [frame] = flood(all, (at) => all.evidence.attends.map((packet) => garbled(packet, at, at)), 1) as [
    Frame,
  ];
  const { durable } = all.before;
  const { 0: _, ...links } = durable.links;
  const newcomer = { ...all.before, durable: { ...durable, links } };
  expect(fed(all.group, newcomer, 2, [frame, frame]).actions).toEqual(['ignore', 'ignore']);

  const ancestors = all.proposal.value.ancestors.map(() => new Uint8Array(32));
  const elsewhere = { ...all.proposal, value: { ...all.proposal.value, ancestors } };
  const other = forge(all.liar, elsewhere, { evidence: all.evidence });
  verified = 0;
  expect(fed(all.group, all.before, 2, [other, other]).actions).toEqual(['ignore', 'ignore']);
  expect(verified).toBe(0);
});

test('an Attend of another epoch beside a plan of this one makes nobody publish a proof that is none', async () => {
  const all = await scene();
  const { liar, evidence } = all;
  const own = evidence.attends.findIndex(({ body }) => decode(attendSchema, body).by === 2);
  const attend = decode(attendSchema, (evidence.attends[own] as Packet).body);
  const secret = listedSecret(liar);
  if (secret === null) throw new Error('p2 is listed');
  const stray = signPacket(liar.clusterId, secret, encode({ ...attend, epoch: headOf(liar).epoch + 7 }));
  const { outputs } = fed(
    all.group,
    all.before,
    2,
    flood(all, () => [stray], 2),
  );
  expect(
    outputs.filter((output) => output.type === 'publish' && output.frame.type === 'contradiction'),
  ).toEqual([]);
});

test('a retire proof with two Readys of one member is refused for that, before it is judged', async () => {
  const all = await scene();
  const { durable } = all.before;
  const proof = durable.retires[1];
  const own = proof?.readys.find(({ body }) => decode(readySchema, body).by === 2);
  const secret = listedSecret(all.liar);
  if (proof === undefined || own === undefined || secret === null) throw new Error('epoch 1 is retired');
  const readys = Array.from({ length: 64 }, (_, at) => {
    const said = { ...decode(readySchema, own.body), trials: new Uint8Array(32).fill(at) };
    return signPacket(all.liar.clusterId, secret, encode(said));
  });
  const unproven = { ...all.before, durable: { ...durable, retires: {} } };
  const told = (shown: Packet[]) =>
    fed(all.group, unproven, 2, [{ type: 'retire', proof: { ...proof, readys: shown } }]).refused;
  expect(told(readys)).toMatchObject([
    { action: 'reject', why: expect.stringContaining('two Readys of one') },
  ]);
  expect(told(proof.readys)).toEqual([]);
});
