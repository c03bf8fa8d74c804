/**
 * Recognises orders that the group has carried out before, such as that of an earlier try that ended without
 * an answer. An order is recognised by everything that it names. So nothing else of the same name is taken
 * for it.
 */

import type { ApiClient } from '../client/api-client.ts';
import { History } from '../client/history.ts';
import type { Home } from '../node/home/home.ts';
import { fingerprintOf } from '../protocol/records/admission.ts';
import { isSameKey } from '../protocol/records/draft-actions.ts';
import type { Order } from '../protocol/records/order.ts';
import { explainChoice } from '../protocol/records/roster.ts';
import type { KeyRecord, Value } from '../protocol/records/value.ts';
import { tookEffect } from './handing-in.ts';
import type { Newcomer } from './newcomers.ts';

/** Nothing needs to be handed in. `value` is the first value that was already as the order would make it. */
export class DoneAlready {
  readonly value: Value;
  /** The words that are said instead of those for a new change; null for the usual words. */
  readonly said: string | null;
  constructor(value: Value, said: string | null = null) {
    this.value = value;
    this.said = said;
  }
}

/** The first value of the unbroken time for which this client is listed. `head` lists it. */
export async function listedSince(head: Value, daemon: ApiClient, name: string): Promise<DoneAlready> {
  const listed = ({ clients }: Value) => clients.some((client) => client.name === name);
  const since = await new History(head, daemon).since(listed);
  return new DoneAlready(since?.value ?? head);
}

/**
 * The first value in which a thing was gone that was there before. Null when it never was there, as far as
 * the chain is known here.
 */
export async function goneSince(
  head: Value,
  daemon: ApiClient,
  there: (value: Value) => boolean,
): Promise<DoneAlready | null> {
  const since = await new History(head, daemon).since((value) => !there(value));
  return since === null || since.before === null ? null : new DoneAlready(since.value);
}

/** The value in which the last of these members was gone. Null unless all of them were members once. */
export async function evictedSince(
  head: Value,
  daemon: ApiClient,
  names: readonly string[],
): Promise<DoneAlready | null> {
  const gone = await Promise.all(
    names.map((name) => goneSince(head, daemon, (value) => isMember(value, name))),
  );
  let last: DoneAlready | null = null;
  for (const one of gone) {
    if (one === null) return null;
    if (last === null || one.value.epoch > last.value.epoch) last = one;
  }
  return last;
}

const isMember = ({ roster }: Value, name: string): boolean => roster.some((member) => member.name === name);

/** The first value with today's threshold. That may be the founding: perhaps nobody ever raised it. */
export async function raisedSince(head: Value, daemon: ApiClient, { genesis }: Home): Promise<DoneAlready> {
  const since = await new History(head, daemon).since(({ threshold }) => threshold === head.threshold);
  const choice = explainChoice(head.roster.length, head.threshold, genesis.faultModel);
  return new DoneAlready(since?.value ?? head, `the threshold is ${head.threshold} already; ${choice}`);
}

/**
 * A member with the epoch key that it came with. Its fingerprint is that of its admission or reinstatement.
 */
interface Entered {
  since: DoneAlready;
  newcomer: Newcomer;
  fingerprint: string;
  /** Another home had the name before. */
  cameBack: boolean;
}

/**
 * How the member of this name came into the roster. Null when there is no such member, or when the chain
 * known here begins later.
 */
export async function enteredAs(
  head: Value,
  daemon: ApiClient,
  { cluster }: Home,
  name: string,
): Promise<Entered | null> {
  const { peer } = head.roster.find((member) => member.name === name) ?? {};
  if (peer === undefined) return null;
  const of = ({ roster }: Value) => roster.find((member) => member.name === name && member.peer === peer);
  const since = await new History(head, daemon).since((value) => of(value) !== undefined);
  const member = since === null ? undefined : of(since.value);
  if (since === null || member === undefined || member.keyEpoch !== since.value.epoch) return null;
  const { epochKey } = member;
  const fingerprint = fingerprintOf({ cluster, peer, epochKey });
  const cameBack = since.before?.roster.some((one) => one.name === name) ?? false;
  return { since: new DoneAlready(since.value), newcomer: { name, peer, epochKey }, fingerprint, cameBack };
}

/** The first value in which this very key has this name. Null when none is known here. */
export async function createdSince(
  head: Value,
  daemon: ApiClient,
  name: string,
  key: KeyRecord,
): Promise<DoneAlready | null> {
  const has = ({ keys }: Value) => keys.some((one) => one.name === name && isSameKey(one, key));
  const since = await new History(head, daemon).since(has);
  return since === null ? null : new DoneAlready(since.value);
}

/**
 * The value in which this very order was carried out. Null when there is none, or when another order has its
 * number.
 */
export async function carriedOutIn(
  order: Order,
  head: Value,
  daemon: ApiClient,
): Promise<DoneAlready | null> {
  const { sequence, actions } = order.body;
  if (head.lastOrder < sequence) return null;
  const since = await new History(head, daemon).since(({ lastOrder }) => lastOrder >= sequence);
  if (since === null || since.before === null) return null;
  return actions.every((action) => tookEffect(action, since.value)) ? new DoneAlready(since.value) : null;
}
