/** One slot a message: what a member says twice in different words, in one slot, is evidence against it (§4). */

import type { Message } from '../records/change-messages.ts';
import { type Hex, hex } from '../records/codec.ts';

/** What is said to all; dealings live in the inbox until they are checked. */
export type Said = Exclude<Message, { type: 'dealing' }>;

type MessageSection = 'attends' | 'haves' | 'proposals' | 'votes' | 'readys';

/** Where a message is kept: its section and its slot there. Dealings live in the inbox until they are checked. */
export function slotOf(message: Said): {
  section: MessageSection;
  key: string;
} {
  switch (message.type) {
    case 'attend':
      return { section: 'attends', key: `${hex(message.plan)}/${message.by}` };
    case 'have':
      return { section: 'haves', key: `${hex(message.plan)}/${message.by}` };
    case 'proposal':
      return { section: 'proposals', key: String(message.round) };
    case 'prevote':
    case 'precommit':
      return { section: 'votes', key: `${message.type}/${message.round}/${message.by}` };
    case 'ready':
      return { section: 'readys', key: String(message.by) };
  }
}

/** The plan of the forced eviction in whose instance a vote or proposal was said; null for the ordinary one. */
export const instanceIn = (message: Said): Hex | null =>
  'instance' in message && message.instance !== null ? hex(message.instance) : null;

export const includesAll = (all: readonly Uint8Array[], some: readonly Uint8Array[]): boolean => {
  const set = new Set(all.map((digest) => hex(digest)));
  return some.every((digest) => set.has(hex(digest)));
};
