/**
 * Situations of a simulated group. Members are down, suspended, without a share, or back in time. The
 * functions say what the group can do then.
 */
import { decodeSigned } from '../../src/crypto/integers.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { sharesSign } from '../../src/lab/stolen-shares.ts';
import type { Driver } from '../../src/node/driver/driver.ts';
import { attendsOf, headOf, holdsShare, selfIn, signsIn } from '../../src/protocol/machine/queries.ts';
import { attendSchema, frameEnvelope } from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import type { FaultModel } from '../../src/protocol/records/genesis.ts';
import type { Action } from '../../src/protocol/records/order.ts';
import { type Packet, signPacket } from '../../src/protocol/records/packet.ts';
import { faultsOf } from '../../src/protocol/records/roster.ts';
import { Group } from '../../src/simulation/world/group.ts';

export type Records = ReadonlyMap<string, Uint8Array>;

/** Every record in the member's store. */
export const copyOfStore = (group: Group, place: number): Records => new Map(group.node(place).home.records);

/** Stops the member, replaces the records of its store, and starts it again. */
export async function putBack(group: Group, place: number, copy: Records): Promise<void> {
  if (group.node(place).driver !== null) await group.stop(place);
  const { records } = group.node(place).home;
  records.clear();
  for (const [key, value] of copy) records.set(key, value);
  await group.restart(place);
}

/** Whether all these members hold their shares of the newest epoch and have erased what is older. */
export const settled = (group: Group, places: readonly number[]): boolean =>
  places.every((place) => {
    const state = group.state(place);
    const { head, retired } = state.durable.own;
    return head === group.epochOf(places[0] as number) && retired === head && holdsShare(state);
  });

/**
 * Suspends these members. Copies of their homes attend a change beside them. That is found out after the
 * change. The next change suspends the members, and they stay suspended.
 */
export async function suspend(group: Group, places: readonly number[]): Promise<void> {
  const all = group.nodes.map((_, at) => at + 1);
  const seconds = new Map<number, { secret: Uint8Array; first: Packet | null }>();
  for (const place of places) {
    const state = group.state(place);
    const self = selfIn(state);
    const secret = state.durable.epochSecrets[hex(self?.epochKey ?? new Uint8Array())];
    if (secret === undefined) throw new Error(`p${place} has no epoch key`);
    seconds.set(self?.index ?? 0, { secret, first: null });
  }
  const next = group.epochOf(1) + 1;
  group.node(1).driver?.refresh();
  await group.until(() => {
    for (const plan of group.epochOf(1) < next ? Object.keys(group.state(1).durable.plans) : [])
      for (const { message, carried } of attendsOf(group.state(1), plan)) {
        const copied = seconds.get(message.by);
        if (copied !== undefined) copied.first = carried.packet;
      }
    return group.epochOf(1) === next && settled(group, all);
  });
  for (const { secret, first } of seconds.values()) {
    if (first === null) throw new Error('a member did not attend');
    const other = {
      ...decode(attendSchema, first.body),
      epochKey: ed25519FromSeed(group.random(32)).publicKey,
    };
    const second = signPacket(group.state(1).clusterId, secret, encode(other));
    const frame = frameEnvelope.encode({ type: 'contradiction', first, second });
    for (const place of all)
      await group
        .node(place)
        .driver?.dispatch({ type: 'gossip', from: group.node(place === 1 ? 2 : 1).peer, frame });
  }
  group.node(1).driver?.refresh();
  await group.until(() => group.epochOf(1) === next + 1 && settled(group, all));
  const suspended = headOf(group.state(1)).suspended.length;
  if (suspended !== places.length) throw new Error(`${suspended} are suspended`);
}

/**
 * One situation. `members` has one letter for each member: H holds its share, D is down, L lost only its
 * share, W has its store of before its last Attend, and S is suspended. The status is that of p1.
 */
export interface Situation {
  threshold: number;
  members: string;
  faultModel?: FaultModel;
}

export const inWords = ({ threshold, members, faultModel }: Situation): string =>
  `${threshold} of ${members}${faultModel === 'crash' ? ' (crash)' : ''}`;

/**
 * The stores of a whole group, now and long before. The key has threshold, size, suspended members and fault
 * model.
 */
const bases = new Map<string, Promise<{ now: Records[]; before: Records[] }>>();

const placesOf = ({ members }: Situation, letter: string): number[] =>
  [...members].flatMap((one, at) => (one === letter ? [at + 1] : []));

const emptyGroup = ({ threshold, members, faultModel = 'byzantine' }: Situation): Group =>
  new Group({ peers: members.length, threshold, faultModel, network: { delayMsMin: 1, delayMsMax: 2 } });

async function baseOf(situation: Situation) {
  const group = emptyGroup(situation);
  const all = group.nodes.map((_, at) => at + 1);
  const places = placesOf(situation, 'S');
  await group.start();
  await group.createKey();
  const before = all.map((place) => copyOfStore(group, place));
  if (places.length === 0) await group.refresh();
  else {
    await suspend(group, places);
    const { faultModel = 'byzantine', threshold, members } = situation;
    // From the next change on the suspended members are dealt nothing. With too many of them there is no next
    // change.
    if (places.length <= faultsOf(members.length, threshold, faultModel)) {
      const others = all.filter((place) => !places.includes(place));
      const next = group.epochOf(1) + 1;
      group.node(1).driver?.refresh();
      await group.until(() => group.epochOf(1) === next && settled(group, others));
      await group.until(() => places.every((place) => group.state(place).durable.own.retired === next));
    }
  }
  const now = all.map((place) => copyOfStore(group, place));
  await group.stopAll();
  return { now, before };
}

/** A group in this situation, some seconds after it arose. */
export async function arrange(situation: Situation): Promise<Group> {
  const suspended = placesOf(situation, 'S');
  const key = `${situation.threshold}/${situation.members.length}/${suspended.join()}/${situation.faultModel}`;
  const known = bases.get(key) ?? baseOf(situation);
  bases.set(key, known);
  const { now, before } = await known;
  const group = emptyGroup(situation);
  const all = group.nodes.map((_, at) => at + 1);
  for (const place of all) await putStore(group, place, now);
  await group.until(() => all.every((place) => signsIn(group.state(place)) === 'yes'));
  for (const place of placesOf(situation, 'D')) await group.stop(place);
  for (const place of placesOf(situation, 'W')) await putBack(group, place, before[place - 1] as Records);
  for (const place of placesOf(situation, 'L')) {
    const shareless = [...copyOfStore(group, place)].filter(([name]) => !name.startsWith('shares/'));
    await putBack(group, place, new Map(shareless));
  }
  await group.run(8_000);
  return group;
}

async function putStore(group: Group, place: number, stores: readonly Records[]): Promise<void> {
  group.node(place).driver = null; // that driver would found the group anew
  await putBack(group, place, stores[place - 1] as Records);
}

/**
 * Whether the members that p1 reaches make a signature with their shares of one epoch. It reaches itself, and
 * members with a proven connection.
 */
export function signs(group: Group): boolean {
  const looker = group.state(1);
  const { keys, threshold } = headOf(looker);
  const [key] = keys;
  const reached = group.running.filter(
    ({ peer }) => peer === looker.peer || looker.volatile.authenticated[peer] === true,
  );
  const shares = reached.flatMap(({ driver }): Array<readonly [number, bigint]> => {
    const { state } = driver as Driver;
    const share = state.durable.shares[looker.durable.own.head]?.[hex(key?.id ?? new Uint8Array())];
    return share === undefined ? [] : [[selfIn(state)?.index ?? 0, decodeSigned(share)]];
  });
  const some = new Map(shares.slice(0, threshold));
  return key !== undefined && some.size === threshold && sharesSign(key, group.genesis.membersMax, some);
}

/**
 * Whether a refresh that p1 asks for completes. The limit is in milliseconds of virtual time, and allows many
 * lost rounds.
 */
export async function refreshes(group: Group, limitMs = 20_000): Promise<boolean> {
  const next = group.epochOf(1) + 1;
  group.node(1).driver?.refresh();
  try {
    await group.until(() => group.state(1).durable.own.retired >= next, limitMs);
    return true;
  } catch {
    return false;
  }
}

/** Whether the group carries the order out. Rejects with `ProtocolError` when p1 refuses it. */
export async function decides(group: Group, action: Action, limitMs = 20_000): Promise<boolean> {
  const { body } = await group.order(1, action);
  try {
    await group.until(() => headOf(group.state(1)).lastOrder >= body.sequence, limitMs);
    return true;
  } catch {
    return false;
  }
}
