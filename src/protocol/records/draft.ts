/**
 * What orders make of a value (§4.1): every action of every order in sequence, all of them or none. Leader,
 * voters and whoever reads the chain draft with this one function.
 */

import { KeyError } from '../../crypto/errors.ts';
import { hashOf } from '../../crypto/hash.ts';
import { kindNamed } from '../../keys/kinds.ts';
import { attendanceOf, checkAttendance, lastingSuspensions } from './attendance.ts';
import { encode, sameBytes } from './codec.ts';
import { ProtocolError } from './errors.ts';
import type { Genesis } from './genesis.ts';
import { limits } from './limits.ts';
import { type Action, type CreateKey, checkOrder, hashOfOrder, type Order, type OrderBody } from './order.ts';
import { faultsOf, type Member, memberAt } from './roster.ts';
import { ancestorsAfter, type Client, hashOfValue, isUnmade, type KeyRecord, type Value } from './value.ts';

/**
 * Actions whose key's public values were found true under a genesis: they are immutable, one check is enough.
 */
const soundUnder = new WeakMap<CreateKey, Genesis>();

/**
 * What the next value will be apart from what agreement adds (accepted dealings, new epoch keys,
 * commitments).
 */
export interface Draft {
  roster: Member[];
  threshold: number;
  keys: KeyRecord[];
  clients: Client[];
  lastOrder: number;
  /** Keys that this plan creates, with the action that creates each. */
  created: Array<{ key: KeyRecord; action: CreateKey }>;
  /** Indices that go on with a new identity. */
  reinstated: number[];
  /** Indices of those who remain and decide, when the plan is a forced eviction. */
  forced: number[] | null;
}

type PublicKey = Pick<KeyRecord, 'kind' | 'public'>;

/** Whether two records are of one key, whatever they are called and used for. */
export function isSameKey(one: PublicKey, other: PublicKey): boolean {
  if (one.kind !== other.kind) return false;
  const kind = kindNamed(one.kind);
  return sameBytes(kind.identityOf(one.public), kind.identityOf(other.public));
}

/** The id of a key: it binds the name to the public values in this cluster. */
export function keyIdOf(clusterId: Uint8Array, key: Omit<KeyRecord, 'id' | 'creation'>): Uint8Array {
  return hashOf('holdfast/key/1', clusterId, encode([key.name, key.kind, key.use, key.public]));
}

/**
 * Applies orders in sequence to the value before, and the actions of each in their order. Throws `bad-order`
 * for one that does not fit, naming what is wrong: then nothing of its order is applied. Every member gets
 * the same result.
 */
export function draftOf(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  orders: readonly Order[],
): Draft {
  for (const order of orders) checkOrder(genesis, clusterId, parent, order);
  return draftOfBodies(
    genesis,
    clusterId,
    parent,
    orders.map(({ body }) => body),
  );
}

/**
 * What one order of these actions would make of a value, before anybody signs it. Throws `bad-order` as
 * `draftOf` does.
 */
export function draftOfActions(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  actions: readonly Action[],
): Draft {
  const next = { ancestor: hashOfValue(parent), sequence: parent.lastOrder + 1, actions };
  return draftOfBodies(genesis, clusterId, parent, [next]);
}

type Body = Pick<OrderBody, 'ancestor' | 'sequence'> & { actions: readonly Action[] };

function draftOfBodies(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  bodies: readonly Body[],
): Draft {
  const draft: Draft = {
    roster: [...parent.roster],
    threshold: parent.threshold,
    keys: [...parent.keys],
    clients: [...parent.clients],
    lastOrder: parent.lastOrder,
    created: [],
    reinstated: [],
    forced: null,
  };
  for (const { ancestor, sequence, actions } of bodies) {
    if (sequence !== draft.lastOrder + 1)
      throw new ProtocolError('bad-order', `order ${sequence} does not follow ${draft.lastOrder}`);
    draft.lastOrder = sequence;
    const setting = { genesis, clusterId, parent, ancestor, sequence };
    for (const action of actions) applyAction(setting, draft, action);
  }
  // The plan without orders changes nothing that its members could be too few for: it must always be there.
  if (bodies.length === 0) return draft;
  if (draft.forced === null) checkRosterChange(genesis, parent, draft);
  else checkForced(parent, bodies);
  checkAttendance(genesis, parent, draft);
  return draft;
}

const isSame = (one: Member, other: Member): boolean => one.index === other.index && one.peer === other.peer;

/** The value that a draft makes if everybody attends who may, for judging what is to come after it. */
export function valueAtBest(genesis: Genesis, parent: Value, draft: Draft): Value {
  const { threshold, keys, clients, lastOrder } = draft;
  const epoch = parent.epoch + 1;
  const { able } = attendanceOf(genesis, parent);
  const roster = draft.roster.map((one) =>
    able.some((member) => isSame(member, one)) ? { ...one, keyEpoch: epoch } : one,
  );
  const suspended = lastingSuspensions(parent, roster);
  const ancestors = ancestorsAfter(parent);
  return { ...parent, epoch, ancestors, roster, threshold, keys, clients, suspended, lastOrder };
}

/** The value that is drafted from, in its cluster. */
interface Setting {
  genesis: Genesis;
  clusterId: Uint8Array;
  parent: Value;
  /** Of the order: no other order of this branch has the same two. */
  ancestor: Uint8Array;
  sequence: number;
}

type ActionOf<Type extends Action['type']> = Extract<Action, { type: Type }>;

function refuse(why: string): never {
  throw new ProtocolError('bad-order', why);
}

function applyAction(setting: Setting, draft: Draft, action: Action): void {
  switch (action.type) {
    case 'create-key':
      return createKey(draft, action, setting);
    case 'create-key-jointly':
      return createKeyJointly(draft, action, setting);
    case 'destroy-key':
      return destroyKey(draft, action);
    case 'admit':
      return admit(draft, action, setting);
    case 'evict':
      return evict(draft, action);
    case 'reinstate':
      return reinstate(draft, action, setting);
    case 'force-evict':
      return forceEvict(draft, action);
    case 'raise-threshold':
      return raiseThreshold(draft, action);
    case 'add-client':
      return addClient(draft, action);
    case 'remove-client':
      return removeClient(draft, action);
  }
}

function createKey(
  draft: Draft,
  action: ActionOf<'create-key'>,
  { genesis, clusterId, parent }: Setting,
): void {
  if (draft.keys.some((key) => key.name === action.name)) refuse(`a key named ${action.name} exists already`);
  if (draft.keys.length >= limits.keysMax) refuse(`a cluster keeps at most ${limits.keysMax} keys`);
  if (action.commitments.length !== draft.threshold - 1)
    refuse(`the key was shared for another threshold than ${draft.threshold}`);
  try {
    const kind = kindNamed(action.kind);
    if (kind.operations[action.use] === undefined)
      refuse(`keys of kind ${kind.name} are not to ${action.use} with`);
    if (soundUnder.get(action) !== genesis) kind.checkPublic(action.public, genesis.membersMax);
    soundUnder.set(action, genesis);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    refuse(`the key's public values are wrong: ${error.message}`);
  }
  // A use of one key must never be a use of another; and a key that leaves in this very plan has its old
  // shares.
  const twin = [...parent.keys, ...draft.keys].find((key) => !isUnmade(key) && isSameKey(key, action));
  if (twin !== undefined) refuse(`key ${twin.name} is this very key: one key cannot be two`);
  const { commitments: _, type: __, dealingKey: ___, ...rest } = action;
  const key: KeyRecord = { id: keyIdOf(clusterId, action), ...rest, creation: null };
  draft.keys.push(key);
  draft.created.push({ key, action });
}

/**
 * The key gets its public values when the group decides; until then an id stands for it that its order gives
 * it.
 */
function createKeyJointly(
  draft: Draft,
  { name, kind, use }: ActionOf<'create-key-jointly'>,
  { clusterId, ancestor, sequence }: Setting,
): void {
  if (draft.keys.some((key) => key.name === name)) refuse(`a key named ${name} exists already`);
  if (draft.keys.length >= limits.keysMax) refuse(`a cluster keeps at most ${limits.keysMax} keys`);
  try {
    const { joint, operations } = kindNamed(kind);
    if (joint === null) refuse(`keys of kind ${kind} need a dealer: members cannot create one together`);
    if (operations[use] === undefined) refuse(`keys of kind ${kind} are not to ${use} with`);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    refuse(error.message);
  }
  const creation = hashOf('holdfast/creation/1', clusterId, encode([ancestor, sequence, name, kind, use]));
  draft.keys.push({ id: creation, name, kind, use, public: new Uint8Array(), creation });
}

function destroyKey(draft: Draft, action: ActionOf<'destroy-key'>): void {
  if (!draft.keys.some((key) => key.name === action.name)) refuse(`there is no key named ${action.name}`);
  draft.keys = draft.keys.filter((key) => key.name !== action.name);
  draft.created = draft.created.filter(({ key }) => key.name !== action.name);
}

function admit(draft: Draft, action: ActionOf<'admit'>, { genesis, parent }: Setting): void {
  if (draft.roster.some((member) => member.name === action.name))
    refuse(`a member named ${action.name} exists already`);
  if (draft.roster.some((member) => member.peer === action.peer)) refuse('this peer is a member already');
  const used = new Set(draft.roster.map((member) => member.index));
  let index = 1;
  while (used.has(index)) index += 1;
  if (index > genesis.membersMax) refuse(`all ${genesis.membersMax} indices are in use`);
  const { type: _, ...member } = action;
  draft.roster = [...draft.roster, { index, ...member, keyEpoch: parent.epoch + 1 }].sort(
    (a, b) => a.index - b.index,
  );
}

function evict(draft: Draft, action: ActionOf<'evict'>): void {
  if (!draft.roster.some((member) => member.index === action.index))
    refuse(`there is no member with index ${action.index}`);
  draft.roster = draft.roster.filter((member) => member.index !== action.index);
  if (draft.roster.length < draft.threshold) refuse(`fewer than ${draft.threshold} members would remain`);
}

function reinstate(draft: Draft, action: ActionOf<'reinstate'>, { parent }: Setting): void {
  const member = memberAt(draft.roster, action.index);
  if (member === undefined) return refuse(`there is no member with index ${action.index}`);
  if (draft.roster.some(({ peer }) => peer === action.peer))
    refuse('this peer is a member already: it comes back with a new home');
  const { peer, epochKey } = action;
  const next = { ...member, peer, epochKey, keyEpoch: parent.epoch + 1 };
  draft.roster = draft.roster.map((one) => (one.index === member.index ? next : one));
  draft.reinstated.push(action.index);
}

function forceEvict(draft: Draft, action: ActionOf<'force-evict'>): void {
  const stays = (index: number) => action.remaining.includes(index);
  const known = action.remaining.every((index) => draft.roster.some((member) => member.index === index));
  if (!known || new Set(action.remaining).size !== action.remaining.length)
    refuse('those who remain must be members, each named once');
  if (action.remaining.length === draft.roster.length) refuse('a forced eviction must leave somebody out');
  if (action.remaining.length < draft.threshold)
    refuse(`fewer than ${draft.threshold} members would remain: the key could not be used any more`);
  draft.roster = draft.roster.filter(({ index }) => stays(index));
  draft.forced = [...action.remaining];
}

function raiseThreshold(draft: Draft, action: ActionOf<'raise-threshold'>): void {
  if (action.threshold <= draft.threshold)
    refuse(`the threshold is ${draft.threshold} and can only be raised`);
  if (action.threshold > draft.roster.length)
    refuse(`${draft.roster.length} members cannot carry a threshold of ${action.threshold}`);
  if (draft.created.length > 0) refuse('a key cannot be created in the same plan that raises the threshold');
  draft.threshold = action.threshold;
}

function addClient(draft: Draft, action: ActionOf<'add-client'>): void {
  if (draft.clients.some((client) => client.name === action.client.name))
    refuse(`a client named ${action.client.name} exists already`);
  if (draft.clients.some((client) => sameBytes(client.publicKey, action.client.publicKey)))
    refuse('this client key is listed already');
  if (draft.clients.length >= limits.clientsMax)
    refuse(`a cluster keeps at most ${limits.clientsMax} clients`);
  draft.clients.push(action.client);
  if (encode(draft.clients).length > limits.clientsBytesMax)
    refuse(`all clients with their rights take at most ${limits.clientsBytesMax} bytes`);
}

function removeClient(draft: Draft, action: ActionOf<'remove-client'>): void {
  if (!draft.clients.some((client) => client.name === action.name))
    refuse(`there is no client named ${action.name}`);
  draft.clients = draft.clients.filter((client) => client.name !== action.name);
}

/**
 * A forced eviction stands alone in its plan and names the very value that it follows: it is no order for
 * another day.
 */
function checkForced(parent: Value, bodies: readonly Body[]): void {
  const [body] = bodies;
  const alone = bodies.length === 1 && body?.actions.length === 1;
  if (!alone || !sameBytes(body.ancestor, hashOfValue(parent)))
    throw new ProtocolError(
      'bad-order',
      'a forced eviction must be the only action of the only order, on the newest value',
    );
}

/**
 * Orders that leave fewer than `k + 2m` members in both rosters are refused: two changes do it (§4.1). Of
 * those `m` may be silent, and the old identity of a reinstated member is: it is lost, suspended or long
 * absent.
 */
function checkRosterChange(genesis: Genesis, parent: Value, draft: Draft): void {
  const stay = draft.roster.filter((member) => parent.roster.some((one) => isSame(one, member))).length;
  if (stay === parent.roster.length && draft.threshold === parent.threshold) return;
  const m =
    genesis.faultModel === 'crash'
      ? 0
      : Math.min(
          faultsOf(parent.roster.length, parent.threshold, genesis.faultModel),
          faultsOf(draft.roster.length, draft.threshold, genesis.faultModel),
        );
  const silent = draft.reinstated.filter((index) => memberAt(parent.roster, index) !== undefined).length;
  if (stay + Math.min(silent, m) < draft.threshold + 2 * m)
    throw new ProtocolError(
      'bad-order',
      `only ${stay} members would be in both rosters; ${draft.threshold + 2 * m} are needed: make two changes of it`,
    );
}

/** The plan's name: hash of parent, next roster, `k`, keys and orders (§4.1). */
export function planOf(parent: Value, draft: Draft, orders: readonly Order[]): Uint8Array {
  return hashOf(
    'holdfast/plan/1',
    hashOfValue(parent),
    encode({
      roster: draft.roster.map(({ index, name, peer }) => [index, name, peer]),
      threshold: draft.threshold,
      keys: draft.keys.map((key) => key.id),
      clients: draft.clients.map((client) => client.publicKey),
      orders: orders.map(hashOfOrder),
    }),
  );
}

/** The plan of epoch 0: it ties what the operators sign to their cluster. */
export const foundingPlanOf = (clusterId: Uint8Array): Uint8Array =>
  hashOf('holdfast/plan/1', clusterId, encode(['founding']));
