/** One slot a message: what a member says twice in different words, in one slot, is evidence against it (§4). */

import type { Message } from '../records/change-messages.ts';
import { type Hex, hex } from '../records/codec.ts';
import { type AuthorKey, authorKey, type VoteKey, voteKey } from './record-keys.ts';
import type { CoreState, Entry } from './state.ts';

/** What is said to all; dealings live in the inbox until they are checked. */
export type Said = Exclude<Message, { type: 'dealing' }>;

/** Where a message is kept: its section and its key there. Dealings live in the inbox until they are checked. */
export type Slot =
  | { section: 'attends' | 'haves'; key: AuthorKey }
  | { section: 'proposals' | 'readys'; key: number }
  | { section: 'votes'; key: VoteKey };

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

/** What is kept in the slot of a message. */
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

/** The plan of the forced eviction in whose instance a vote or proposal was said; null for the ordinary one. */
export const instanceIn = (message: Said): Hex | null =>
  'instance' in message && message.instance !== null ? hex(message.instance) : null;

export const includesAll = (all: readonly Uint8Array[], some: readonly Uint8Array[]): boolean => {
  const set = new Set(all.map((digest) => hex(digest)));
  return some.every((digest) => set.has(hex(digest)));
};
