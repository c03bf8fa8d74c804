/**
 * How orders change a value, by the oracle's own formulas. Each order is carried out whole, and nothing else
 * changes.
 */
import type { Action, Order } from '../../protocol/records/order.ts';
import type { Value } from '../../protocol/records/value.ts';

/** The parts of a value that orders decide. */
interface Outline {
  /** Peer ids. */
  members: Set<string>;
  keys: Set<string>;
  clients: Set<string>;
  threshold: number;
}

const outlineOf = ({ roster, keys, clients, threshold }: Value): Outline => ({
  members: new Set(roster.map(({ peer }) => peer)),
  keys: new Set(keys.map(({ name }) => name)),
  clients: new Set(clients.map(({ name }) => name)),
  threshold,
});

const inWords = ({ members, keys, clients, threshold }: Outline): string =>
  `${[members, keys, clients].map((names) => [...names].sort().join(' ')).join(' | ')} | ${threshold}`;

/** The part of the value that its orders do not explain, in words. Null when they explain all of it. */
export function unexplained(parent: Value, orders: readonly Order[], value: Value): string | null {
  const expected = outlineOf(parent);
  for (const { body } of orders)
    for (const action of body.actions)
      if (!isDone(expected, parent, action)) return `carries out a ${action.type} that does not fit`;
  const [ordered, found] = [inWords(expected), inWords(outlineOf(value))];
  return ordered === found ? null : `was ordered to be ${ordered}, and is ${found}`;
}

/** Does the action to an outline. False when the action does not fit. */
function isDone(outline: Outline, { roster }: Value, action: Action): boolean {
  const { members, keys, clients } = outline;
  const peerAt = (index: number) => roster.find((member) => member.index === index)?.peer ?? '';
  const isAdded = (names: Set<string>, name: string) => names.size < names.add(name).size;
  switch (action.type) {
    case 'create-key':
    case 'create-key-jointly':
      return isAdded(keys, action.name);
    case 'destroy-key':
      return keys.delete(action.name);
    case 'admit':
      return isAdded(members, action.peer);
    case 'evict':
      return members.delete(peerAt(action.index));
    case 'reinstate':
      return members.delete(peerAt(action.index)) && isAdded(members, action.peer);
    case 'force-evict':
      outline.members = new Set(action.remaining.map(peerAt));
      return outline.members.size < members.size && [...outline.members].every((peer) => members.has(peer));
    case 'raise-threshold': {
      const before = outline.threshold;
      outline.threshold = action.threshold;
      return before < action.threshold;
    }
    case 'add-client':
      return isAdded(clients, action.client.name);
    case 'remove-client':
      return clients.delete(action.name);
  }
}

/**
 * How many members of `value` may attend the change after it. Members that `value` itself suspends count,
 * because nobody knew of their suspension when the order was given.
 */
export function ableAfter(parent: Value, value: Value, absentEpochsMax: number): number {
  const suspended = new Set(
    parent.suspended.map(({ index }) => parent.roster.find((member) => member.index === index)?.peer),
  );
  return value.roster.filter(
    ({ peer, keyEpoch }) => !suspended.has(peer) && keyEpoch + absentEpochsMax >= value.epoch,
  ).length;
}
