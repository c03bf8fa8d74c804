/** Lies of helpers in a recovery (protocol §5). Lies about dealings reach masks as well: they are dealings with another root. */
import { decodeSigned, encodeSigned } from '../../../src/crypto/integers.ts';
import { decode } from '../../../src/protocol/codec.ts';
import type { Frame } from '../../../src/protocol/messages.ts';
import { recoveryMessageSchema } from '../../../src/protocol/recovery/messages.ts';
import type { Lie } from './liar.ts';

const typeOf = (frame: Frame): string | null =>
  frame.type === 'recovery' ? decode(recoveryMessageSchema, frame.packet.body).type : null;

export const recoveryLies = {
  'false-sum': {
    job: (_liar, job, run) =>
      job.kind === 'sum'
        ? run({ ...job, shares: job.shares.map((share) => encodeSigned(decodeSigned(share) + 1n)) })
        : null,
  },
  'no-sum': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-sum' ? [] : null) },
  'no-masks': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-mask' ? [] : null) },
  'masks-for-some': {
    frame: (liar, to, frame) => (typeOf(frame) === 'recover-mask' && liar.tells(to) ? [] : null),
  },
  'no-word-of-masks-held': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-held' ? [] : null) },
} satisfies Record<string, Lie>;
