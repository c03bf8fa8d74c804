/** What each action of an order makes of a draft (§4.1). */
import { KeyError } from '../../crypto/errors.ts';
import { hashOf } from '../../crypto/hash.ts';
import { kindNamed } from '../../keys/kinds.ts';
import { encode, sameBytes } from './codec.ts';
import { ProtocolError } from './errors.ts';
import type { Genesis } from './genesis.ts';
import { limits } from './limits.ts';
import type { Action, CreateKey } from './order.ts';
import { type Member, memberAt } from './roster.ts';
import { type Client, isUnmade, type KeyRecord, type Value } from './value.ts';

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

/** The value that is drafted from, in its cluster. */
export interface Setting {
  genesis: Genesis;
  clusterId: Uint8Array;
  parent: Value;
  /** Of the order: no other order of this branch has the same two. */
  ancestor: Uint8Array;
  sequence: number;
}

/**
 * Actions whose key's public values were found true under a genesis: they are immutable, one check is enough.
 */
const soundUnder = new WeakMap<CreateKey, Genesis>();

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

type ActionOf<Type extends Action['type']> = Extract<Action, { type: Type }>;

function refuse(why: string): never {
  throw new ProtocolError('bad-order', why);
}

/** Carries an action out on a draft. @throws ProtocolError `bad-order` for one that does not fit */
export function applyAction(setting: Setting, draft: Draft, action: Action): void {
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
