/** Read-only questions about a state. The rules, the driver and the daemon's views ask them. */

import assert from 'node:assert/strict';
import type { Attend, Have, Signs, Vote } from '../records/change-messages.ts';
import { fromHex, type Hex, hex } from '../records/codec.ts';
import { draftOf, planOf } from '../records/draft.ts';
import type { Draft } from '../records/draft-actions.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import type { Link } from '../records/link.ts';
import type { Order } from '../records/order.ts';
import { present, zip } from '../records/present.ts';
import { faultsOf, type Member, memberAt, quorumOf, sleeps } from '../records/roster.ts';
import { hashOfValue, type KeyRecord, type Value } from '../records/value.ts';
import type { Entry } from './durable-state.ts';
import type { KeySetting } from './io.ts';
import { isOfPlan, isOfRound } from './record-keys.ts';
import { instanceIn, type Said } from './slots.ts';
import type { CoreState } from './state.ts';

/** The part of a state that questions read. A whole state has it, and so has a step's `Work`. */
export type ReadableState = Pick<
  CoreState,
  'genesis' | 'clusterId' | 'peer' | 'timing' | 'durable' | 'volatile'
>;

/** The link of the newest value. It is always kept. */
export function headLink(state: ReadableState): Link {
  const link = state.durable.links[state.durable.own.head];
  assert(link !== undefined, 'the newest link is always kept');
  return link;
}
export const headOf = (state: ReadableState): Value => headLink(state).value;

/** This member in a roster, the newest by default. Undefined when the roster does not list it. */
export const selfIn = (state: ReadableState, value: Value = headOf(state)): Member | undefined =>
  value.roster.find((member) => member.peer === state.peer);

/** The quorum of a value's roster: `n − faults` (§1). */
export const valueQuorum = (state: ReadableState, value: Value): number =>
  quorumOf(value.roster.length, value.threshold, state.genesis.faultModel);
/** The number of members of a value's roster that may be silent or lie (§1). */
export const valueFaults = (state: ReadableState, value: Value): number =>
  faultsOf(value.roster.length, value.threshold, state.genesis.faultModel);

/**
 * The members that decide the undecided change: the newest roster, or the members that remain after a forced
 * eviction (§5).
 */
export function electors(state: ReadableState): Member[] {
  const { forced } = state.durable.own;
  const { roster } = headOf(state);
  return forced === null ? roster : roster.filter(({ index }) => forced.remaining.includes(index));
}
/** The quorum of the undecided change, among its electors. */
export const changeQuorum = (state: ReadableState): number =>
  quorumOf(electors(state).length, headOf(state).threshold, state.genesis.faultModel);
/** The number of electors of the undecided change that may be silent or lie. */
export const changeFaults = (state: ReadableState): number =>
  faultsOf(electors(state).length, headOf(state).threshold, state.genesis.faultModel);
/**
 * The instance of agreement that this member's votes belong to. Null for the ordinary one, and otherwise the
 * plan of the forced eviction.
 */
export const instanceOf = (state: ReadableState): Uint8Array | null =>
  state.durable.own.forced === null ? null : fromHex(state.durable.own.forced.plan);

/**
 * Whether a message belongs to another instance, and so does not count. In a forced eviction only the
 * remaining members count (§5).
 */
export function isOfOtherInstance(state: ReadableState, message: Said): boolean {
  const { forced } = state.durable.own;
  if (message.type === 'ready') return false;
  if (forced !== null && !forced.remaining.includes(message.by)) return true;
  if ('instance' in message) return instanceIn(message) !== (forced?.plan ?? null);
  return forced !== null && hex(message.plan) !== forced.plan;
}

/**
 * Whether this member holds its share of every key of an epoch. Where there is no key yet, every member does.
 */
export function holdsShare(state: ReadableState, epoch: number = state.durable.own.head): boolean {
  const keys = state.durable.links[epoch]?.value.keys;
  const shares = state.durable.shares[epoch] ?? {};
  return keys?.every((key) => shares[hex(key.id)] !== undefined) ?? false;
}

/**
 * The seed that this member signs with now, and its index. Null when the member is not listed or is muted.
 * Null also while it asks the others for its signatures from before a restart.
 */
export function signingSecret(state: ReadableState): { index: number; secret: Uint8Array } | null {
  const self = selfIn(state);
  if (self === undefined || state.volatile.recall !== null || state.durable.own.muted !== null) return null;
  const secret = listedSecret(state);
  return secret === null ? null : { index: self.index, secret };
}

/**
 * The seed of the epoch key that the newest value lists for this member. Null when the member is not listed,
 * or has lost the seed.
 */
export function listedSecret(state: ReadableState): Uint8Array | null {
  const self = selfIn(state);
  return (self && state.durable.epochSecrets[hex(self.epochKey)]) ?? null;
}

/**
 * Whether this member signs in the undecided change. `asking`: it has restarted and still asks the others.
 * `no`: its store went back in time, or it lacks its key.
 */
export function signsIn(state: ReadableState): Signs {
  if (listedSecret(state) === null || state.durable.own.muted !== null) return 'no';
  return state.volatile.recall === null ? 'yes' : 'asking';
}

/**
 * Whether this member has erased everything before the newest epoch. No member attends the next change before
 * that (§4.5).
 */
export const retiredHead = (state: ReadableState): boolean =>
  state.durable.own.retired >= state.durable.own.head;

/** The records whose keys pass. It makes no list of all entries, because almost every step asks this. */
function recordsWhere<T>(section: Record<string, T>, passes: (key: string) => boolean): T[] {
  const found: T[] = [];
  for (const key in section) {
    const record = section[key];
    if (record !== undefined && passes(key)) found.push(record);
  }
  return found;
}

export const attendsOf = (state: ReadableState, plan: Hex): Entry<Attend>[] =>
  recordsWhere(state.durable.attends, (key) => isOfPlan(key, plan));
export const havesOf = (state: ReadableState, plan: Hex): Entry<Have>[] =>
  recordsWhere(state.durable.haves, (key) => isOfPlan(key, plan));

/** The members that contradicted themselves in the undecided change. Leaders and dealers leave them out. */
export function contradicting(state: ReadableState): Set<number> {
  const epoch = state.durable.own.head + 1;
  return new Set(
    Object.values(state.durable.blames)
      .filter((blame) => blame.epoch === epoch && blame.kind === 'contradiction')
      .map((blame) => blame.by),
  );
}

/** Whether the newest value suspends this member. It then takes no part until it is reinstated. */
export const isSuspended = (state: ReadableState, index: number): boolean =>
  headOf(state).suspended.some((suspension) => suspension.index === index);

/** The plans with a quorum of Attends. Their dealing windows and the rounds are open. */
export function attendedPlans(state: ReadableState): Hex[] {
  const quorum = changeQuorum(state);
  return Object.keys(state.durable.plans).filter((plan) => attendsOf(state, plan).length >= quorum);
}

/**
 * The known drafts, by their lists of orders. Records are immutable, so each draft is computed once for its
 * orders and parent.
 */
const drafts = new WeakMap<readonly Order[], { parent: Value; draft: Draft }>();

/** The draft of a plan of the undecided change. Null for a plan that this member does not know. */
export function draftOfPlan(state: ReadableState, plan: Hex): Draft | null {
  const orders = state.durable.plans[plan]?.orders;
  if (orders === undefined) return null;
  const parent = headOf(state);
  const known = drafts.get(orders);
  if (known?.parent === parent) return known.draft;
  const draft = draftOf(state.genesis, state.clusterId, parent, orders);
  drafts.set(orders, { parent, draft });
  return draft;
}

interface Plan {
  plan: Uint8Array;
  orders: Order[];
  draft: Draft;
}

/** The known best plans, by the pending orders. */
const bestPlans = new WeakMap<object, { parent: Value; best: Plan }>();

/**
 * The plan that this member attends: the longest run of pending orders, in sequence, that fits the newest
 * value. In a forced eviction it is that eviction's plan.
 */
export function bestPlan(state: ReadableState): Plan {
  const parent = headOf(state);
  const { forced } = state.durable.own;
  const taken = forced === null ? undefined : state.durable.plans[forced.plan];
  if (forced !== null && taken !== undefined)
    return {
      plan: fromHex(forced.plan),
      orders: taken.orders,
      draft: present(draftOfPlan(state, forced.plan), 'the draft of the forced eviction'),
    };
  const known = bestPlans.get(state.durable.orders);
  if (known?.parent === parent) return known.best;
  let orders: Order[] = [];
  let draft = draftOf(state.genesis, state.clusterId, parent, orders);
  for (let sequence = parent.lastOrder + 1; orders.length < limits.ordersPerPlanMax; sequence += 1) {
    const order = state.durable.orders[sequence];
    if (order === undefined) break;
    try {
      draft = draftOf(state.genesis, state.clusterId, parent, [...orders, order]);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // The order fits neither now nor within a longer plan. It waits, or the operator replaces it.
      break;
    }
    orders = [...orders, order];
  }
  const best = { plan: planOf(parent, draft, orders), orders, draft };
  bestPlans.set(state.durable.orders, { parent, best });
  return best;
}

/** The plan without orders. */
export function barePlan(state: ReadableState): Plan {
  const parent = headOf(state);
  const draft = draftOf(state.genesis, state.clusterId, parent, []);
  return { plan: planOf(parent, draft, []), orders: [], draft };
}

export const voteEntriesOf = (state: ReadableState, type: Vote['type'], round: number): Entry<Vote>[] =>
  recordsWhere(state.durable.votes, (key) => isOfRound(key, type, round));
export function votesOf(state: ReadableState, type: Vote['type'], round: number): Vote[] {
  return voteEntriesOf(state, type, round).map((entry) => entry.message);
}

export const keySettings = (
  keys: readonly KeyRecord[],
  threshold: number,
  membersMax: number,
): KeySetting[] => keys.map((key) => ({ key, threshold, membersMax }));

/** The settings of every key of the newest value, in order. */
export function headSettings(state: ReadableState): KeySetting[] {
  const { keys, threshold } = headOf(state);
  return keySettings(keys, threshold, state.genesis.membersMax);
}

/** A key of the newest value, with what this member's jobs need. */
interface HeadKey {
  /** The key's id, under which its share is kept. */
  id: Hex;
  setting: KeySetting;
  commitments: Uint8Array[];
}

/** Every key of the newest value, in order. */
export const headKeys = (state: ReadableState): HeadKey[] =>
  zip(headSettings(state), headLink(state).commitments).map(([setting, commitments]) => ({
    id: hex(setting.key.id),
    setting,
    commitments,
  }));

export const headHash = (state: ReadableState): Uint8Array => hashOfValue(headOf(state));

/**
 * Whether this member was away for too long. It is then served only after it is reinstated (§5, "Sleepers").
 */
export function isSleeper(state: ReadableState, index: number): boolean {
  const head = headOf(state);
  const member = memberAt(head.roster, index);
  return member !== undefined && sleeps(member, head.epoch, state.genesis.absentEpochsMax);
}
