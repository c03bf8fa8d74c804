/** Lies that need no understanding of the protocol: silence, noise and repetition. */

import {
  type Frame,
  frameEnvelope,
  hashOfRecalled,
  memorySchema,
} from '../../protocol/records/change-messages.ts';
import { decode } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import type { Peer } from '../world/world.ts';
import { signedNonsense } from './certificates.ts';
import type { Liar, Lie } from './liar.ts';
import { longestOfEverything } from './longest.ts';

const anyone = (liar: Liar) => liar.others[Math.floor(liar.random() * liar.others.length)];

/** Empty answers to a restarted member, in the names of all other members. */
function emptyMemories(liar: Liar, to: Peer, { packet }: Extract<Frame, { type: 'recalled' }>): Frame[] {
  const memory = decode(memorySchema, packet.body);
  return liar.others.flatMap(({ index: by }) => {
    const said = by === to.index ? null : liar.sign({ ...memory, by, packets: hashOfRecalled([]) });
    return said === null ? [] : [{ type: 'recalled' as const, packet: said, packets: [] }];
  });
}

let overLong: Uint8Array | null = null;

export const floodLies = {
  silence: { message: () => [], frame: () => [] },
  'silence-to-some': {
    message: (liar, to) => (liar.tells(to) ? [] : null),
    frame: (liar, to) => (liar.tells(to) ? [] : null),
  },
  /** The liar sends its own messages, and passes on none of others. */
  'passes-nothing-on': { frame: (_liar, _to, frame) => (frame.type === 'message' ? [] : null) },
  /** The liar claims that it has seen nothing, and asks for everything again and again. */
  'endless-questions': {
    act: (liar) => {
      const epoch = liar.state?.durable.own.head ?? 0;
      for (const to of liar.others) {
        liar.send(to, { type: 'recall', epoch: epoch + 1, nonce: liar.randomBytes(32) });
        liar.send(to, {
          type: 'summary',
          epoch,
          oldest: 0,
          retired: 0,
          seen: new Uint8Array(),
          wanted: [],
          wallMs: 0,
          holds: epoch,
          signs: 'yes',
          reply: true,
        });
      }
    },
  },
  /** The liar accuses every other member of a false number. */
  'false-accusations': {
    act: (liar) => {
      const epoch = (liar.state?.durable.own.head ?? 0) + 1;
      for (const { index: dealer } of liar.others) {
        const packet = liar.sign({
          type: 'accuse',
          by: liar.peer.index,
          epoch,
          dealer,
          digest: liar.randomBytes(32),
        });
        if (packet !== null) for (const to of liar.others) liar.send(to, { type: 'accusation', packet });
      }
    },
  },
  /** A restarted member is told that it sent a vote that it never sent. */
  'false-memories': {
    frame: (liar, to, frame) => {
      if (frame.type !== 'recalled') return null;
      const memory = decode(memorySchema, frame.packet.body);
      const vote = { type: 'prevote', by: to.index, epoch: memory.epoch, round: 1, instance: null };
      const said = liar.sign({ ...vote, value: liar.randomBytes(32) });
      const packets = said === null ? frame.packets : [...frame.packets, said];
      const packet = liar.sign({ ...memory, packets: hashOfRecalled(packets) });
      return packet && [{ type: 'recalled', packet, packets }];
    },
  },
  /** A restarted member is told, in the names of all others, that nobody remembers anything. */
  'memories-in-others-names': {
    frame: (liar, to, frame) => (frame.type === 'recalled' ? emptyMemories(liar, to, frame) : null),
  },
  /** The same lie by gossip. A thief of an identity who lacks the epoch key can only do that. */
  'published-memories': {
    frame: (liar, to, frame) => {
      if (frame.type !== 'recalled') return null;
      for (const lie of emptyMemories(liar, to, frame)) liar.publish(lie);
      return [];
    },
  },
  replay: {
    act: (liar) => {
      for (let count = 0; count < 8; count += 1) {
        const to = anyone(liar);
        const bytes = liar.heard[Math.floor(liar.random() * liar.heard.length)];
        if (to !== undefined && bytes !== undefined) liar.send(to, bytes);
      }
    },
  },
  /** Messages with true signatures, of rounds and epochs in which nobody is. */
  'flood-of-early-messages': {
    act: (liar) => {
      const { state } = liar;
      const to = anyone(liar);
      if (state === null || to === undefined) return;
      const head = state.durable.own.head;
      for (let count = 0; count < 20; count += 1) {
        const ahead = Math.floor(liar.random() * 2 * limits.roundsAheadMax);
        const round = (state.durable.own.rounds?.round ?? 0) + ahead;
        const epoch = head + 1 + Math.floor(liar.random() * 3);
        const vote = {
          type: 'prevote',
          by: liar.peer.index,
          epoch,
          round,
          instance: null,
          value: liar.randomBytes(32),
        };
        for (const frame of liar.forge(vote)) liar.send(to, frame);
      }
    },
  },
  'flood-of-noise': {
    act: (liar) => {
      const to = anyone(liar);
      if (to === undefined) return;
      for (let count = 0; count < 10; count += 1)
        liar.send(to, liar.randomBytes(1 + Math.floor(liar.random() * 300)));
      for (const frame of signedNonsense(liar)) liar.send(to, frame);
      // Deep nesting, and a length that is longer than the content.
      liar.send(to, new Uint8Array(2_000).fill(0x81));
      liar.send(to, Uint8Array.of(0x5b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff));
    },
  },
  /** The longest messages of each kind that decoding accepts, also for the rounds that the liar leads. */
  'the-longest-of-everything': { act: (liar) => longestOfEverything(liar) },
  'over-long-message': {
    act: (liar) => {
      const to = anyone(liar);
      overLong ??= frameEnvelope.encode({ type: 'publics', publics: [new Uint8Array(limits.frameBytesMax)] });
      if (to !== undefined && liar.chance(0.2)) liar.send(to, overLong);
    },
  },
} satisfies Record<string, Lie>;
