/** Read-only questions about a state, shared by the rules, the driver and what the daemon shows. */

import assert from 'node:assert/strict';
import type { Attend, Have, Signs, Vote } from '../records/change-messages.ts';
import { fromHex, type Hex, hex } from '../records/codec.ts';
import { type Draft, draftOf, planOf } from '../records/draft.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import type { Link } from '../records/link.ts';
import type { Order } from '../records/order.ts';
import { present, zip } from '../records/present.ts';
import { faultsOf, type Member, memberAt, quorumOf, sleeps } from '../records/roster.ts';
import { hashOfValue, type KeyRecord, type Value } from '../records/value.ts';
import type { KeySetting } from './io.ts';
import { isOfPlan, isOfRound } from './record-keys.ts';
import { instanceIn, type Said } from './slots.ts';
import type { CoreState, Entry } from './state.ts';

/** What questions need of a state: a whole one has it, and so has a step's `Work`. */
export type ReadableState = Pick<
  CoreState,
  'genesis' | 'clusterId' | 'peer' | 'timing' | 'durable' | 'volatile'
>;

export function headLink(state: ReadableState): Link {
  const link = state.durable.links[state.durable.own.head];
  assert(link !== undefined, 'the newest link is always kept');
  return link;
}
export const headOf = (state: ReadableState): Value => headLink(state).value;

/** This member in the newest roster; undefined once evicted. */
export const selfIn = (state: ReadableState, value: Value = headOf(state)): Member | undefined =>
  value.roster.find((member) => member.peer === state.peer);

export const valueQuorum = (state: ReadableState, value: Value): number =>
  quorumOf(value.roster.length, value.threshold, state.genesis.faultModel);
export const valueFaults = (state: ReadableState, value: Value): number =>
  faultsOf(value.roster.length, value.threshold, state.genesis.faultModel);

/** Who decides the undecided change: the newest roster, or those whom a forced eviction leaves (§5). */
export function electors(state: ReadableState): Member[] {
  const { forced } = state.durable.own;
  const { roster } = headOf(state);
  return forced === null ? roster : roster.filter(({ index }) => forced.remaining.includes(index));
}
export const changeQuorum = (state: ReadableState): number =>
  quorumOf(electors(state).length, headOf(state).threshold, state.genesis.faultModel);
export const changeFaults = (state: ReadableState): number =>
  faultsOf(electors(state).length, headOf(state).threshold, state.genesis.faultModel);
/** The instance of agreement that votes belong to: null for the ordinary one, the plan for a forced eviction. */
export const instanceOf = (state: ReadableState): Uint8Array | null =>
  state.durable.own.forced === null ? null : fromHex(state.durable.own.forced.plan);

/** Votes and proposals count only in their instance, and in a forced eviction only those who remain have a say (§5). */
export function isOfOtherInstance(state: ReadableState, message: Said): boolean {
  const { forced } = state.durable.own;
  if (message.type === 'ready') return false;
  if (forced !== null && !forced.remaining.includes(message.by)) return true;
  if ('instance' in message) return instanceIn(message) !== (forced?.plan ?? null);
  return forced !== null && hex(message.plan) !== forced.plan;
}

/** Whether this member holds its share of every key in an epoch; where there is no key yet, everybody does. */
export function holdsShare(state: ReadableState, epoch: number = state.durable.own.head): boolean {
  const keys = state.durable.links[epoch]?.value.keys;
  const shares = state.durable.shares[epoch] ?? {};
  return keys?.every((key) => shares[hex(key.id)] !== undefined) ?? false;
}

/**
 * The secret that this member signs with now, or null: unlisted, muted, or waiting for others' memory after a
 * restart.
 */
export function signingSecret(state: ReadableState): { index: number; secret: Uint8Array } | null {
  const self = selfIn(state);
  if (self === undefined || state.volatile.recall !== null || state.durable.own.muted !== null) return null;
  const secret = listedSecret(state);
  return secret === null ? null : { index: self.index, secret };
}

/**
 * The secret of the epoch key that the newest value lists for this member; null when it is not listed, or has
 * lost it.
 */
export function listedSecret(state: ReadableState): Uint8Array | null {
  const self = selfIn(state);
  return (self && state.durable.epochSecrets[hex(self.epochKey)]) ?? null;
}

/**
 * Whether this member signs in the undecided change: not yet while it asks after a restart, not at all once
 * its store went back.
 */
export function signsIn(state: ReadableState): Signs {
  if (listedSecret(state) === null || state.durable.own.muted !== null) return 'no';
  return state.volatile.recall === null ? 'yes' : 'asking';
}

/** Whether everything before the newest epoch is erased here: nobody attends the next change before (§4.5). */
export const retiredHead = (state: ReadableState): boolean =>
  state.durable.own.retired >= state.durable.own.head;

/** The records whose keys pass: asked at almost every step, so without a list of all entries in between. */
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

/** Members that contradicted themselves in the undecided change: leaders and dealers leave them out. */
export function contradicting(state: ReadableState): Set<number> {
  const epoch = state.durable.own.head + 1;
  return new Set(
    Object.values(state.durable.blames)
      .filter((blame) => blame.epoch === epoch && blame.kind === 'contradiction')
      .map((blame) => blame.by),
  );
}

/** Whether the newest value suspends the member with this index: it takes no part until it is reinstated. */
export const isSuspended = (state: ReadableState, index: number): boolean =>
  headOf(state).suspended.some((suspension) => suspension.index === index);

/** Plans with a quorum of Attends: their windows and the rounds are open. */
export function attendedPlans(state: ReadableState): Hex[] {
  const quorum = changeQuorum(state);
  return Object.keys(state.durable.plans).filter((plan) => attendsOf(state, plan).length >= quorum);
}

/** Drafts by their orders: records are immutable, so a draft is computed once for each list of orders and parent. */
const drafts = new WeakMap<readonly Order[], { parent: Value; draft: Draft }>();

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

/** Best plans by the pending orders that they were made of. */
const bestPlans = new WeakMap<object, { parent: Value; best: Plan }>();

/** The longest run of pending orders that fit the newest value, in sequence, with the plan it makes. */
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
      break; // It fits neither now nor as a part of a longer plan: it waits, or is replaced by the operator.
    }
    orders = [...orders, order];
  }
  const best = { plan: planOf(parent, draft, orders), orders, draft };
  bestPlans.set(state.durable.orders, { parent, best });
  return best;
}

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

/** The settings of every key of the newest value, in its order. */
export function headSettings(state: ReadableState): KeySetting[] {
  const { keys, threshold } = headOf(state);
  return keySettings(keys, threshold, state.genesis.membersMax);
}

/** A key of the newest value as this member works on it. */
interface HeadKey {
  /** Its id, as shares are kept under it. */
  id: Hex;
  setting: KeySetting;
  commitments: Uint8Array[];
}

/** Every key of the newest value, in its order. */
export const headKeys = (state: ReadableState): HeadKey[] =>
  zip(headSettings(state), headLink(state).commitments).map(([setting, commitments]) => ({
    id: hex(setting.key.id),
    setting,
    commitments,
  }));

export const headHash = (state: ReadableState): Uint8Array => hashOfValue(headOf(state));

/** Whether the member with this index was away too long to be served without reinstatement (§5 "Sleepers"). */
export function isSleeper(state: ReadableState, index: number): boolean {
  const head = headOf(state);
  const member = memberAt(head.roster, index);
  return member !== undefined && sleeps(member, head.epoch, state.genesis.absentEpochsMax);
}
