/** §4.3: validity is objective. Every member judges every proposal alike, and nothing of a valid one can be changed. */

import { expect, test } from 'vitest';
import { sumsInPlace } from '../../src/protocol/change/next-keys.ts';
import { assembleValue, decodePublic, judge } from '../../src/protocol/change/validity.ts';
import { attendsOf, draftOfPlan, headOf } from '../../src/protocol/machine/queries.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import {
  type Attend,
  attendSchema,
  type Evidence,
  type Have,
  type Proposal,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import { type Accepted, operatorDealer, type Value } from '../../src/protocol/records/value.ts';
import { signedAs } from '../../src/simulation/lies/forging.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { flipped } from '../protocol/support.ts';
import { fired, fivePeers, forge, messageIn } from './support.ts';

const at = <T>(list: readonly T[], position: number): T => {
  const item = list[position];
  if (item === undefined) throw new Error(`nothing at ${position}`);
  return item;
};

interface Proposed {
  group: Group;
  proposal: Proposal;
  evidence: Evidence;
}

async function proposed(): Promise<Proposed> {
  const group = await fivePeers();
  group.node(1).driver?.refresh();
  return proposalIn(group, [1, 2, 3, 4, 5]);
}

/** The first proposal of the undecided change, when all of these have voted on it. */
async function proposalIn(group: Group, peers: readonly number[]): Promise<Proposed> {
  const epoch = group.epochOf(1) + 1;
  await group.until(() => peers.every((index) => fired(group, index, 'prevote', { epoch })));
  const entry = Object.values(group.state(1).durable.proposals)[0];
  if (entry?.carried.evidence === undefined) throw new Error('p1 holds the proposal');
  return { group, proposal: entry.message, evidence: entry.carried.evidence };
}

/** The value that a leader makes of these Attends and dealings, whether it may or not. */
function made(
  state: CoreState,
  { value }: Proposal,
  attends: readonly Packet[],
  accepted: Accepted[],
): Value {
  const draft = draftOfPlan(state, hex(value.plan));
  if (draft === null) throw new Error('the plan is known');
  const halves = accepted.map(({ digest }) =>
    decodePublic((state.durable.publics[hex(digest)] as { bytes: Uint8Array }).bytes),
  );
  const messages = attends.map(({ body }) => decode(attendSchema, body));
  const sums = sumsInPlace(state, draft, halves) ?? [];
  return assembleValue(state, value.plan, draft, messages, accepted, sums, value.suspended).value;
}

/** What this member could sign of a message with other content. */
function resigned(state: CoreState, message: object): Packet {
  const packet = signedAs(state, message);
  if (packet === null) throw new Error('the member holds its epoch key');
  return packet;
}

test('every member judges a proposal, and every change of it, alike: nothing but the proposal itself is valid', async () => {
  const { group, proposal, evidence } = await proposed();
  const { value } = proposal;
  const states = [1, 2, 3, 4, 5].map((index) => group.state(index));
  const verdict = (changed: Value, shown: Evidence): string => {
    const verdicts = states.map((state) => judge(state, changed, shown).verdict);
    // Whoever kept none of the messages judges by the evidence alone.
    const bare = states.map((state) =>
      judge({ ...state, durable: { ...state.durable, attends: {}, haves: {} } }, changed, shown),
    );
    expect(new Set([...verdicts, ...bare.map((one) => one.verdict)]).size).toBe(1);
    return at(verdicts, 0);
  };
  expect(verdict(value, evidence)).toBe('valid');

  const member = at(value.roster, 0);
  const key = at(value.keys, 0);
  const dealing = at(value.accepted, 0);
  const values: Record<string, Partial<Value>> = {
    epoch: { epoch: 3 },
    'epoch again': { epoch: 1 },
    parent: { ancestors: [flipped(at(value.ancestors, 0)), ...value.ancestors.slice(1)] },
    'an older ancestor': { ancestors: value.ancestors.map((hash, i) => (i === 1 ? flipped(hash) : hash)) },
    'no ancestors': { ancestors: [] },
    plan: { plan: flipped(value.plan) },
    'a dealing less': { accepted: value.accepted.slice(1) },
    'two dealings left': { accepted: value.accepted.slice(3) },
    'no dealing': { accepted: [] },
    'a dealing twice': { accepted: [dealing, ...value.accepted] },
    'dealings unsorted': { accepted: [...value.accepted].reverse() },
    'another dealer': { accepted: [{ ...dealing, dealer: 2 }, ...value.accepted.slice(1)] },
    'an operator’s dealing': {
      accepted: [{ ...dealing, dealer: operatorDealer }, ...value.accepted.slice(1)],
    },
    'an unknown dealing': {
      accepted: [{ dealer: 1, digest: flipped(dealing.digest) }, ...value.accepted.slice(1)],
    },
    'a member less': { roster: value.roster.slice(1) },
    'a member renamed': { roster: [{ ...member, name: 'mallory' }, ...value.roster.slice(1)] },
    'another peer': { roster: [{ ...member, peer: 'peer-9999' }, ...value.roster.slice(1)] },
    'another epoch key': {
      roster: [{ ...member, epochKey: flipped(member.epochKey) }, ...value.roster.slice(1)],
    },
    'an older epoch key': {
      roster: [{ ...member, keyEpoch: member.keyEpoch - 1 }, ...value.roster.slice(1)],
    },
    'members unsorted': { roster: [...value.roster].reverse() },
    threshold: { threshold: 2 },
    'no keys': { keys: [] },
    'other public values': { keys: [{ ...key, public: flipped(key.public, key.public.length - 20) }] },
    'another kind': { keys: [{ ...key, kind: 'other' }] },
    'another use': { keys: [{ ...key, use: 'decrypt' }] },
    'a client': { clients: [{ name: 'c', publicKey: value.plan, rights: [], ratePerMinute: 0 }] },
    'an order': { lastOrder: value.lastOrder + 1 },
    commitments: { commitments: flipped(value.commitments) },
  };
  for (const [what, change] of Object.entries(values))
    expect(verdict({ ...value, ...change }, evidence), what).not.toBe('valid');

  const { attends, haves } = evidence;
  const attendOf = (index: number): Attend => {
    const entry = Object.values(group.state(1).durable.attends).find(({ message }) => message.by === index);
    if (entry === undefined) throw new Error('everybody attends');
    return entry.message;
  };
  const haveOf = (index: number): Have => {
    const entry = Object.values(group.state(1).durable.haves).find(({ message }) => message.by === index);
    if (entry === undefined) throw new Error('everybody has');
    return entry.message;
  };
  const first = at(attends, 0);
  const otherAttend = resigned(group.state(5), { ...attendOf(5), epochKey: flipped(attendOf(5).epochKey) });
  const foreign = resigned(group.state(5), { ...attendOf(5), plan: flipped(value.plan) });
  const lesserHave = (index: number) =>
    resigned(group.state(index), { ...haveOf(index), digests: haveOf(index).digests.slice(1) });
  const stolen = resigned(group.state(5), haveOf(4));
  const withoutFifth = attends.filter((packet) => !packetBy(packet, attendOf(5)));
  const evidences: Record<string, Partial<Evidence>> = {
    'no Attends': { attends: [] },
    'Attends of fewer than a quorum': { attends: attends.slice(0, 3) },
    'an Attend less, whose key the value has': { attends: attends.slice(0, 4) },
    'an Attend twice': { attends: [...attends, first] },
    'a changed Attend': { attends: [{ ...first, body: flipped(first.body, 30) }, ...attends.slice(1)] },
    'an unsigned Attend': {
      attends: [{ ...first, signature: flipped(first.signature) }, ...attends.slice(1)],
    },
    'an Attend with other keys': { attends: [...withoutFifth, otherAttend] },
    'an Attend for another plan': { attends: [...withoutFifth, foreign] },
    'a Have among the Attends': { attends: [...attends.slice(0, 4), at(haves, 0)] },
    'bytes among the Attends': {
      attends: [...attends.slice(0, 4), { ...first, body: new Uint8Array([1, 2]) }],
    },
    'no Haves': { haves: [] },
    'Haves of fewer than k + m': { haves: haves.slice(0, 3) },
    'a Have twice to make k + m': { haves: [...haves.slice(0, 3), at(haves, 0)] },
    'Haves that list less': {
      haves: [lesserHave(1), lesserHave(2), lesserHave(3), lesserHave(4), lesserHave(5)],
    },
    'a Have signed by another': { haves: [...haves.slice(0, 3), stolen] },
    'an order that is not in the plan': { orders: [await anOrder(group)] },
  };
  for (const [what, change] of Object.entries(evidences))
    expect(verdict(value, { ...evidence, ...change }), what).not.toBe('valid');

  // Other evidence that shows the same is as good: the Haves are no part of the value.
  expect(verdict(value, { ...evidence, haves: haves.slice(1) })).toBe('valid');
  expect(verdict(value, { ...evidence, haves: [...haves].reverse() })).toBe('valid');
});

const packetBy = (packet: Packet, message: Attend): boolean => hex(packet.body) === hex(encode(message));

async function anOrder(group: Group) {
  const key = new Uint8Array(32).fill(7);
  const client = { name: 'late', publicKey: key, rights: [], ratePerMinute: 0 };
  return group.order(1, { type: 'add-client', client });
}

test('a value that is truly made of the Attends of fewer than a quorum is not valid', async () => {
  const { group, proposal, evidence } = await proposed();
  const attends = byIndex(evidence.attends).slice(0, 3);
  const accepted = proposal.value.accepted.filter(({ dealer }) => dealer <= 3);
  for (const index of [1, 2, 3, 4, 5]) {
    const state = group.state(index);
    const few = made(state, proposal, attends, accepted);
    expect(judge(state, few, { ...evidence, attends })).toEqual({
      verdict: 'invalid',
      why: 'it shows no quorum of Attends',
    });
    // Shown twice they are no more.
    const twice = [...attends, at(attends, 0)];
    expect(judge(state, few, { ...evidence, attends: twice }).verdict).toBe('invalid');
    // With one more, nothing is wrong with it.
    const four = byIndex(evidence.attends).slice(0, 4);
    const enough = made(state, proposal, four, accepted);
    expect(judge(state, enough, { ...evidence, attends: four }).verdict).toBe('valid');
  }
});

test('a value that is truly made of a dealing of a member that does not attend is not valid', async () => {
  const { group, proposal, evidence } = await proposed();
  const attends = byIndex(evidence.attends).slice(0, 4);
  expect(proposal.value.accepted.map(({ dealer }) => dealer)).toContain(5);
  for (const index of [1, 2, 3, 4, 5]) {
    const state = group.state(index);
    const value = made(state, proposal, attends, proposal.value.accepted);
    expect(judge(state, value, { ...evidence, attends })).toEqual({
      verdict: 'invalid',
      why: 'its dealers are not members that attend, each once',
    });
  }
});

test('Haves of members that the plan evicts show nobody that will hold the dealings', async () => {
  const group = await fivePeers();
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  await group.order(1, { type: 'evict', index: 5 });
  const stay = [1, 2, 3, 4];
  const { proposal, evidence } = await proposalIn(group, stay);
  const { value } = proposal;
  expect(value.roster.map(({ index }) => index)).toEqual(stay);
  const digests = value.accepted.map(({ digest }) => digest).sort((a, b) => Buffer.compare(a, b));
  const have = { v: 1, type: 'have', by: 5, epoch: 2, plan: value.plan, digests };
  const evicted = resigned(group.state(5), have);
  const others = evidence.haves.slice(0, 2);
  for (const index of stay) {
    expect(judge(group.state(index), value, evidence).verdict).toBe('valid');
    expect(judge(group.state(index), value, { ...evidence, haves: [...others, evicted] })).toEqual({
      verdict: 'invalid',
      why: 'too few members show that they hold every accepted dealing',
    });
  }
});

test('a value that is truly made of the Attend of a suspended member too is not valid', async () => {
  const group = await fivePeers();
  // p5 signs two Attends in the change to epoch 2, which suspends it.
  let told = false;
  group.intercept = ({ from }, frame) => {
    const message = messageIn(frame);
    if (told || from !== 'p5' || message?.type !== 'attend' || message.by !== 5) return [frame];
    told = true;
    return [frame, forge(group.state(5), { ...message, epochKey: flipped(message.epochKey) })];
  };
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4].every((index) => group.state(index).durable.own.retired === 2));
  await group.until(() => group.epochOf(5) === 2);
  group.intercept = null;
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);

  await countsTheFifthInVain(group, 'it counts a suspended member');
});

test('nor is one that is made of the Attend of a member that was away too long', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3, absentEpochsMax: 1 });
  await group.stop(5);
  for (const _ of [2, 3]) await group.refresh(1);
  await group.restart(5);
  await group.until(() => group.epochOf(5) === 3);
  await countsTheFifthInVain(group, 'it counts a member that was away too long');
});

/** The first four judge the next value as it is proposed, and as it would be if p5 had attended too. */
async function countsTheFifthInVain(group: Group, why: string): Promise<void> {
  group.node(1).driver?.refresh();
  const { proposal, evidence } = await proposalIn(group, [1, 2, 3, 4]);
  const first = at(attendsOf(group.state(1), hex(proposal.value.plan)), 0).message;
  const attend = resigned(group.state(5), { ...first, by: 5 });
  const attends = [...evidence.attends, attend];
  for (const index of [1, 2, 3, 4]) {
    const state = group.state(index);
    expect(judge(state, proposal.value, evidence).verdict).toBe('valid');
    const value = made(state, proposal, attends, proposal.value.accepted);
    expect(judge(state, value, { ...evidence, attends })).toEqual({
      verdict: 'invalid',
      why,
    });
  }
}

const byIndex = (attends: readonly Packet[]): Packet[] =>
  [...attends].sort((a, b) => decode(attendSchema, a.body).by - decode(attendSchema, b.body).by);
