/** §4.3: validity is objective. Every member judges every proposal alike, and nothing of a valid one can be changed. */
import { expect, test } from 'vitest';
import { encode, hex } from '../../src/protocol/codec.ts';
import type { Attend, Evidence, Have, Proposal } from '../../src/protocol/messages.ts';
import { type Packet, signPacket } from '../../src/protocol/packet.ts';
import { selfIn } from '../../src/protocol/queries.ts';
import type { CoreState } from '../../src/protocol/state.ts';
import { judge } from '../../src/protocol/validity.ts';
import type { Value } from '../../src/protocol/value.ts';
import { flipped } from '../protocol/support.ts';
import type { Group } from '../support/group.ts';
import { fired, fivePeers } from './support.ts';

const at = <T>(list: readonly T[], position: number): T => {
  const item = list[position];
  if (item === undefined) throw new Error(`nothing at ${position}`);
  return item;
};

async function proposed(): Promise<{ group: Group; proposal: Proposal; evidence: Evidence }> {
  const group = await fivePeers();
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4, 5].every((index) => fired(group, index, 'prevote', { epoch: 2 })));
  const entry = group.state(1).durable.proposals[0];
  if (entry?.carried.evidence === undefined) throw new Error('p1 holds the proposal');
  return { group, proposal: entry.message, evidence: entry.carried.evidence };
}

/** What this member could sign of a message with other content. */
function resigned(state: CoreState, message: unknown): Packet {
  const secret = state.durable.epochSecrets[hex(selfIn(state)?.epochKey ?? new Uint8Array())];
  if (secret === undefined) throw new Error('the member holds its epoch key');
  return signPacket(state.clusterId, secret, encode(message));
}

test('every member judges a proposal, and every change of it, alike: nothing but the proposal itself is valid', async () => {
  const { group, proposal, evidence } = await proposed();
  const { value } = proposal;
  const states = [1, 2, 3, 4, 5].map((index) => group.state(index));
  const verdict = (changed: Value, shown: Evidence): string => {
    const verdicts = states.map((state) => judge(state, changed, shown).verdict);
    // Who kept none of the messages judges by the evidence alone.
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
    parent: { parent: flipped(value.parent) },
    plan: { plan: flipped(value.plan) },
    'a dealing less': { accepted: value.accepted.slice(1) },
    'two dealings left': { accepted: value.accepted.slice(3) },
    'no dealing': { accepted: [] },
    'a dealing twice': { accepted: [dealing, ...value.accepted] },
    'dealings unsorted': { accepted: [...value.accepted].reverse() },
    'another dealer': { accepted: [{ ...dealing, dealer: 2 }, ...value.accepted.slice(1)] },
    'an operator’s dealing': { accepted: [{ ...dealing, dealer: 0 }, ...value.accepted.slice(1)] },
    'an unknown dealing': {
      accepted: [{ dealer: 1, digest: flipped(dealing.digest) }, ...value.accepted.slice(1)],
    },
    'a member less': { roster: value.roster.slice(1) },
    'a member renamed': { roster: [{ ...member, name: 'mallory' }, ...value.roster.slice(1)] },
    'another peer': { roster: [{ ...member, peer: 'peer-9999' }, ...value.roster.slice(1)] },
    'another epoch key': {
      roster: [{ ...member, epochKey: flipped(member.epochKey) }, ...value.roster.slice(1)],
    },
    'members unsorted': { roster: [...value.roster].reverse() },
    threshold: { threshold: 2 },
    'no keys': { keys: [] },
    'another base': { keys: [{ ...key, base: flipped(key.base, 20) }] },
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
