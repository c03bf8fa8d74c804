/**
 * Orders that the group has carried out before: by an earlier try of the same command, say, which ended
 * without an answer. Each is recognised by all that it names, so that nothing else of the same name is taken
 * for it.
 */

import type { ApiClient } from '../client/api-client.ts';
import { History } from '../client/history.ts';
import type { Home } from '../node/home/home.ts';
import { fingerprintOf } from '../protocol/records/admission.ts';
import { isSameKey } from '../protocol/records/draft.ts';
import type { Order } from '../protocol/records/order.ts';
import { explainChoice } from '../protocol/records/roster.ts';
import type { KeyRecord, Value } from '../protocol/records/value.ts';
import { tookEffect } from './handing-in.ts';
import type { Newcomer } from './newcomers.ts';

/** Nothing is to be handed in: `value` is the first one that was already as the order would make it. */
export class DoneAlready {
  readonly value: Value;
  /** What is said instead of the words for a change that was made; null for those. */
  readonly said: string | null;
  constructor(value: Value, said: string | null = null) {
    this.value = value;
    this.said = said;
  }
}

/** Since when a client is listed that the newest value lists. */
export async function listedSince(head: Value, daemon: ApiClient, name: string): Promise<DoneAlready> {
  const listed = ({ clients }: Value) => clients.some((client) => client.name === name);
  const since = await new History(head, daemon).since(listed);
  return new DoneAlready(since?.value ?? head);
}

/** Since when something is gone that was there; null when it never was, as far as the chain is known here. */
export async function goneSince(
  head: Value,
  daemon: ApiClient,
  there: (value: Value) => boolean,
): Promise<DoneAlready | null> {
  const since = await new History(head, daemon).since((value) => !there(value));
  return since === null || since.before === null ? null : new DoneAlready(since.value);
}

/** Since when the members of these names are gone; null unless all of them were members. */
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

/** Since when the threshold is what the newest value says; perhaps since the founding: nobody need have raised it. */
export async function raisedSince(head: Value, daemon: ApiClient, { genesis }: Home): Promise<DoneAlready> {
  const since = await new History(head, daemon).since(({ threshold }) => threshold === head.threshold);
  const choice = explainChoice(head.roster.length, head.threshold, genesis.faultModel);
  return new DoneAlready(since?.value ?? head, `the threshold is ${head.threshold} already; ${choice}`);
}

/** A member with the key that it came with: what its fingerprint was when it was admitted or reinstated. */
interface Entered {
  since: DoneAlready;
  newcomer: Newcomer;
  fingerprint: string;
  /** Another home had the name before. */
  cameBack: boolean;
}

/**
 * How the member of this name came in; null for no such member, and where the chain known here does not go
 * back so far.
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

/** Since when this very key has this name; null when none has. */
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

/** The value in which this very order was carried out; null when none was, or another one with its number. */
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
