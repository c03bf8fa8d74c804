/** Each message has one slot. Two different messages of a member in one slot are evidence against it (§4). */

import type { Message } from '../records/change-messages.ts';
import { type Hex, hex } from '../records/codec.ts';
import type { Entry } from './durable-state.ts';
import { type AuthorKey, authorKey, type VoteKey, voteKey } from './record-keys.ts';
import type { CoreState } from './state.ts';

/** A message to all members. Dealings are none: they lie in the inbox until they are checked. */
export type Said = Exclude<Message, { type: 'dealing' }>;

/** The place of a message: its section, and its key there. */
export type Slot =
  | { section: 'attends' | 'haves'; key: AuthorKey }
  | { section: 'proposals' | 'readys'; key: number }
  | { section: 'votes'; key: VoteKey };

/** The slot of a message. */
export function slotOf(message: Said): Slot {
  switch (message.type) {
    case 'attend':
      return { section: 'attends', key: authorKey(message) };
    case 'have':
      return { section: 'haves', key: authorKey(message) };
    case 'proposal':
      return { section: 'proposals', key: message.round };
    case 'prevote':
    case 'precommit':
      return { section: 'votes', key: voteKey(message) };
    case 'ready':
      return { section: 'readys', key: message.by };
  }
}

/** The message that is kept in the slot of `message`. Undefined when the slot is empty. */
export function keptInSlotOf(
  { durable }: Pick<CoreState, 'durable'>,
  message: Said,
): Entry<Said> | undefined {
  const slot = slotOf(message);
  switch (slot.section) {
    case 'attends':
    case 'haves':
      return durable[slot.section][slot.key];
    case 'proposals':
    case 'readys':
      return durable[slot.section][slot.key];
    case 'votes':
      return durable.votes[slot.key];
  }
}

/** The instance of a vote or proposal: the plan of its forced eviction. Null for the ordinary instance. */
export const instanceIn = (message: Said): Hex | null =>
  'instance' in message && message.instance !== null ? hex(message.instance) : null;

/** Whether every digest of `some` is in `all`. */
export const includesAll = (all: readonly Uint8Array[], some: readonly Uint8Array[]): boolean => {
  const set = new Set(all.map((digest) => hex(digest)));
  return some.every((digest) => set.has(hex(digest)));
};
