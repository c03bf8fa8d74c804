/**
 * The messages of a recovery (§5), in the order in which they are sent. All are signed with epoch keys of the newest
 * certified epoch, and travel only over direct, authenticated streams.
 */
import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { shape } from './codec.ts';
import { limits } from './limits.ts';
import { record, recordUnion } from './version.ts';

const head = { by: shape.index, epoch: shape.epoch };
const envelopes = z.array(shape.bytes(limits.envelopeBytesMax)).max(limits.keysMax);

/** r → all: I hold no share of this epoch; the nonce ties the grants to this asking. */
const askSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-ask'),
  ...head,
  nonce: shape.hash,
});
/** helper → r: I have applied the epoch and hold back the next change; my one-time sealing key for your run. */
export const grantSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-grant'),
  ...head,
  to: shape.index,
  nonce: shape.hash,
  sealingKey: shape.key32,
});
/** helper → r: I attend the change to `until` already; ask again when it is decided. */
const waitSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-wait'),
  ...head,
  to: shape.index,
  nonce: shape.hash,
  until: shape.epoch,
});
/** r → helpers: one run, with all who granted; their signed grants travel beside it. */
const runSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-run'),
  ...head,
  nonce: shape.hash,
  run: shape.hash,
  sealingKey: shape.key32,
  helpers: z.array(z.strictObject({ index: shape.index, sealingKey: shape.key32 })).max(limits.membersMax),
});
/** helper → helper, and without envelopes to r: a fresh mask with root r for this run only. */
const maskSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-mask'),
  ...head,
  run: shape.hash,
  receiver: shape.index,
  public: shape.bytes(limits.dealingPublicBytesMax),
  envelopes,
});
const chosenSchema = z
  .array(z.strictObject({ index: shape.index, digest: shape.hash }))
  .max(limits.membersMax);
/** helper → r: whose valid masks I hold. */
const heldSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-held'),
  ...head,
  run: shape.hash,
  masks: chosenSchema,
});
/**
 * r → chosen: add exactly these k masks, of helpers that hold each other's. Sent again with the accepts of
 * all of them.
 */
const choiceSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-choice'),
  ...head,
  run: shape.hash,
  helpers: chosenSchema,
});
/** helper → r: I take this choice, and no other in this run. */
export const acceptSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-accept'),
  ...head,
  run: shape.hash,
  choice: shape.hash,
});
/** helper → r: my share plus the chosen masks, sealed; `choice` is the hash of the masks used. */
const sumSchema = record('a message of a recovery', 1, {
  type: z.literal('recover-sum'),
  ...head,
  run: shape.hash,
  choice: shape.hash,
  envelopes,
});

export const recoveryMessageSchema = recordUnion(
  'a message of a recovery',
  1,
  z.discriminatedUnion('type', [
    askSchema,
    grantSchema,
    waitSchema,
    runSchema,
    maskSchema,
    heldSchema,
    choiceSchema,
    acceptSchema,
    sumSchema,
  ]),
);
export type RecoveryMessage = z.infer<typeof recoveryMessageSchema>;
export type Of<T extends RecoveryMessage['type']> = Extract<RecoveryMessage, { type: T }>;
export type Chosen = z.infer<typeof chosenSchema>;

/** A run's name binds everything that its masks and sums are made for. */
export const hashOfRun = (body: Uint8Array): Uint8Array => hashOf('holdfast/run/1', body);
export const hashOfChoice = (body: Uint8Array): Uint8Array => hashOf('holdfast/choice/1', body);
