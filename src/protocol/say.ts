/** Signing what this member says, and keeping what anyone said: one slot a message, two different ones are evidence. */
import { encode, sameBytes } from './codec.ts';
import type { Carried, Message } from './messages.ts';
import { signPacket } from './packet.ts';
import { signingSecret } from './queries.ts';
import type { Durable, Entry } from './state.ts';
import type { Work } from './work.ts';

type MessageSection = 'attends' | 'haves' | 'proposals' | 'votes' | 'readys';

/** Where a message is kept: its section and its slot there. Dealings live in the inbox until they are checked. */
export function slotOf(message: Exclude<Message, { type: 'dealing' }>): {
  section: MessageSection;
  key: string;
} {
  switch (message.type) {
    case 'attend':
      return { section: 'attends', key: `${Buffer.from(message.plan).toString('hex')}/${message.by}` };
    case 'have':
      return { section: 'haves', key: `${Buffer.from(message.plan).toString('hex')}/${message.by}` };
    case 'proposal':
      return { section: 'proposals', key: String(message.round) };
    case 'prevote':
    case 'precommit':
      return { section: 'votes', key: `${message.type}/${message.round}/${message.by}` };
    case 'ready':
      return { section: 'readys', key: String(message.by) };
  }
}

/**
 * Keeps a verified message in its slot. A second, different one for the slot is a contradiction (§4): the first stays
 * and its author is blamed, except for a Have, which may grow.
 * @returns whether the state changed.
 */
export function keep(work: Work, message: Exclude<Message, { type: 'dealing' }>, carried: Carried): boolean {
  const { section, key } = slotOf(message);
  const held = (work.durable[section] as Record<string, Entry<Message>>)[key];
  if (held !== undefined) {
    if (sameBytes(held.carried.packet.body, carried.packet.body)) return false;
    if (message.type === 'have' && held.message.type === 'have') {
      if (includes(held.message.digests, message.digests)) return false;
      if (!includes(message.digests, held.message.digests)) {
        work.blame({ epoch: message.epoch, by: message.by, kind: 'contradiction' });
        return false;
      }
    } else {
      if (message.type === 'attend' && work.durable.contradictions[key] === undefined)
        work.put('contradictions', key, { first: held.carried.packet, second: carried.packet });
      work.blame({ epoch: message.epoch, by: message.by, kind: 'contradiction' });
      return false;
    }
  }
  (work.put as (section: keyof Durable, key: string, entry: unknown) => void).call(work, section, key, {
    message,
    carried,
  });
  return true;
}

const includes = (all: readonly Uint8Array[], some: readonly Uint8Array[]): boolean => {
  const set = new Set(all.map((digest) => Buffer.from(digest).toString('hex')));
  return some.every((digest) => set.has(Buffer.from(digest).toString('hex')));
};

/** Signs, keeps and publishes a message of this member. Callers have checked `signingSecret`. */
export function say(
  work: Work,
  unsigned: (by: number) => Exclude<Message, { type: 'dealing' }>,
  extra: Omit<Carried, 'packet'> = {},
): void {
  const signer = signingSecret(work);
  if (signer === null) return;
  const message = unsigned(signer.index);
  const carried: Carried = { packet: signPacket(work.clusterId, signer.secret, encode(message)), ...extra };
  keep(work, message, carried);
  work.emit({ type: 'publish', frame: { type: 'message', message: carried } });
}
