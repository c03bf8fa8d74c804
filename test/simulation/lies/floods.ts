/** Silence, noise and repetition: what needs no understanding of the protocol. */

import { encode } from '../../../src/protocol/codec.ts';
import { limits } from '../../../src/protocol/limits.ts';
import { signedNonsense } from './agreement.ts';
import type { Liar, Lie } from './liar.ts';

const anyone = (liar: Liar) => liar.others[Math.floor(liar.random() * liar.others.length)];
const bytesOf = (liar: Liar, length: number) =>
  Uint8Array.from({ length }, () => Math.floor(liar.random() * 256));

let overLong: Uint8Array | null = null;

export const floodLies = {
  silence: { message: () => [], frame: () => [] },
  'silence-to-some': {
    message: (liar, to) => (liar.tells(to) ? [] : null),
    frame: (liar, to) => (liar.tells(to) ? [] : null),
  },
  /** Says its own, and passes on nothing of others. */
  'passes-nothing-on': { frame: (_liar, _to, frame) => (frame.type === 'message' ? [] : null) },
  /** Claims to have seen nothing and asks for everything again and again. */
  'endless-questions': {
    act: (liar) => {
      const epoch = liar.state?.durable.own.head ?? 0;
      for (const to of liar.others) {
        liar.send(to, { type: 'recall', epoch: epoch + 1 });
        liar.send(to, {
          type: 'summary',
          epoch,
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
  /** Says of everybody that it was dealt a false number. */
  'false-accusations': {
    act: (liar) => {
      const epoch = (liar.state?.durable.own.head ?? 0) + 1;
      for (const { index: dealer } of liar.others) {
        const packet = liar.sign({
          type: 'accuse',
          by: liar.peer.index,
          epoch,
          dealer,
          digest: bytesOf(liar, 32),
        });
        if (packet !== null) for (const to of liar.others) liar.send(to, { type: 'accusation', packet });
      }
    },
  },
  /** A restarted member is told that it said what it never said. */
  'false-memories': {
    frame: (liar, to, frame) => {
      if (frame.type !== 'recalled') return null;
      const vote = { type: 'prevote', by: to.index, epoch: frame.epoch, round: 1, instance: null };
      const packet = liar.sign({ ...vote, value: bytesOf(liar, 32) });
      return packet && [{ ...frame, packets: [...frame.packets, packet] }];
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
  /** Messages that are rightly signed, of rounds and epochs that nobody is in. */
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
          value: bytesOf(liar, 32),
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
        liar.send(to, bytesOf(liar, 1 + Math.floor(liar.random() * 300)));
      for (const frame of signedNonsense(liar)) liar.send(to, frame);
      // Nesting, and lengths that promise more than comes.
      liar.send(to, new Uint8Array(2_000).fill(0x81));
      liar.send(to, Uint8Array.of(0x5b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff));
    },
  },
  'over-long-message': {
    act: (liar) => {
      const to = anyone(liar);
      overLong ??= encode({ type: 'publics', publics: [new Uint8Array(limits.frameBytesMax)] });
      if (to !== undefined && liar.chance(0.2)) liar.send(to, overLong);
    },
  },
} satisfies Record<string, Lie>;
