/**
 * What the scenarios share: groups with even delays, questions about their history, and the tools of a liar.
 */

import { afterEach } from 'vitest';
import { elementOf } from '../../src/keys/rsa/numbers.ts';
import { publicOf } from '../../src/keys/rsa/setting.ts';
import { verificationKey } from '../../src/keys/rsa/sharing.ts';
import { sumsInPlace } from '../../src/protocol/change/next-keys.ts';
import { assembleValue, decodePublic } from '../../src/protocol/change/validity.ts';
import { attendsOf, draftOfPlan, selfIn } from '../../src/protocol/machine/queries.ts';
import type { PrintedName } from '../../src/protocol/machine/rule-names.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import {
  type Carried,
  type Frame,
  frameEnvelope,
  type Message,
  messageSchema,
  type Proposal,
} from '../../src/protocol/records/change-messages.ts';
import { decode, fromHex, hex } from '../../src/protocol/records/codec.ts';
import type { Link } from '../../src/protocol/records/link.ts';
import { forgedAs } from '../../src/simulation/lies/forging.ts';
import { Group, groupWithKey } from '../../src/simulation/world/group.ts';
import type { GroupOptions } from '../../src/simulation/world/group-options.ts';
import type { Nodes } from '../../src/simulation/world/nodes.ts';

const groups: Group[] = [];
afterEach(async () => {
  for (const group of groups.splice(0)) await group.stopAll();
});

/**
 * Five peers, any three of which sign; every frame takes 5 ms, so that the order of events is easy to follow.
 */
export async function fivePeers(options: Partial<GroupOptions> & { key?: boolean } = {}): Promise<Group> {
  const group = new Group({
    peers: 5,
    threshold: 3,
    ...options,
    network: { delayMsMin: 5, delayMsMax: 5, ...options.network },
  });
  groups.push(group);
  await group.start();
  await group.until(() => group.nodes.every((_, at) => fired(group, at + 1, 'recalled')));
  if (options.key !== false) await group.createKey();
  return group;
}

/**
 * Five peers with a key, in epoch 2; p5 is away, and all others attend the change to epoch 3: it must wait
 * for that.
 */
export async function fifthAwayInMidChange(): Promise<Group> {
  const group = await groupWithKey({
    peers: 5,
    threshold: 3,
    timing: { dealingWindowMs: 3_000, recoveryHoldMs: 20_000 },
  });
  groups.push(group);
  await group.stop(5);
  await group.refresh(1);
  group.node(1).driver?.refresh();
  await group.until(() =>
    [1, 2, 3, 4].every((index) => Object.keys(group.state(index).durable.attended).length > 0),
  );
  return group;
}

export const linkOf = (state: CoreState, epoch: number): Link => {
  const link = state.durable.links[epoch];
  if (link === undefined) throw new Error(`no link of epoch ${epoch}`);
  return link;
};

/** The round in which an epoch was decided. */
export const roundOf = ({ certificate }: Link): number | null =>
  certificate.type === 'precommits' ? certificate.round : null;

export const dealersOf = ({ value }: Link): number[] => value.accepted.map(({ dealer }) => dealer);

/** The verification keys v_i of every member for the first key. */
export const verificationKeysOf = ({ value, commitments }: Link): bigint[] => {
  const [key] = value.keys;
  const [list] = commitments;
  if (key === undefined || list === undefined) throw new Error('the group has no key');
  return value.roster.map(({ index }) => verificationKey(publicOf(key.public), list.map(elementOf), index));
};

/** Whether a peer printed this name, with these details. */
export const fired = (group: Group, node: number, rule: PrintedName, detail: Record<string, unknown> = {}) =>
  group
    .node(node)
    .outputs.some(
      (output) =>
        output.type === 'rule' &&
        output.rule === rule &&
        Object.entries(detail).every(([name, value]) => output.detail[name] === value),
    );

/** The signed message in a frame, or null when it carries none. */
export const messageIn = (frame: Frame): Message | null =>
  frame.type === 'message' ? decode(messageSchema, frame.message.packet.body) : null;

/**
 * What a broken-into member can send: any message under its current epoch key; evidence is bound by its hash.
 */
export function forge(state: CoreState, message: object, extra: Omit<Carried, 'packet'> = {}): Frame {
  const frame = forgedAs(state, message, extra);
  if (frame === null) throw new Error('this peer holds no epoch key');
  return frame;
}

/**
 * What a leader could have proposed instead: the same plan and evidence without one of the accepted dealings.
 */
export function smallerProposal(view: CoreState, { value, ...proposal }: Proposal): Proposal {
  const plan = hex(value.plan);
  const accepted = value.accepted.filter(({ dealer }) => dealer !== 5);
  const halves = accepted.map(({ digest }) =>
    decodePublic((view.durable.publics[hex(digest)] as { bytes: Uint8Array }).bytes),
  );
  const attends = attendsOf(view, plan).map(({ message }) => message);
  const draft = draftOfPlan(view, plan);
  if (draft === null) throw new Error('the leader knows its own plan');
  return {
    ...proposal,
    value: assembleValue(
      view,
      fromHex(plan),
      draft,
      attends,
      accepted,
      sumsInPlace(view, draft, halves) ?? [],
      [],
    ).value,
  };
}

/**
 * Somebody else has the epoch key of the member at `place` too and signs a second Attend for the plan of the
 * change that gathers at p1: the value of that change suspends the member.
 */
export async function contradict(group: Nodes, place: number): Promise<void> {
  const { name, peer } = group.node(place);
  const { index: by } = selfIn(group.state(place)) ?? {};
  const attend = () =>
    Object.keys(group.state(1).durable.plans)
      .flatMap((plan) => attendsOf(group.state(1), plan))
      .find(({ message }) => message.by === by)?.message;
  await group.until(() => attend() !== undefined, 10_000, `the Attend of ${name}`);
  const frame = frameEnvelope.encode(forge(group.state(place), { ...attend(), epochKey: group.random(32) }));
  for (const node of group.nodes)
    if (node.peer !== peer) void node.driver?.dispatch({ type: 'gossip', from: peer, frame });
}

/**
 * p3 has prevoted in the change to epoch 2, and is stopped; its store is as it was before. Precommits, which
 * would decide, are held back.
 */
export async function thirdPutBack(group: Group): Promise<void> {
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'have', { epoch: 2, dealings: 5 }));
  const copy = new Map(group.node(3).home.records);
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  await group.until(() => fired(group, 3, 'prevote', { epoch: 2 }));
  await group.run(6);
  await group.stop(3);
  group.node(3).home.records.clear();
  for (const [key, value] of copy) group.node(3).home.records.set(key, value);
}
