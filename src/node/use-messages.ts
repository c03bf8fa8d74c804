/** What members ask of each other to use a key, on the request stream: one partial for one client-signed request. */
import { z } from 'zod';
import { shape } from '../protocol/codec.ts';
import { limits } from '../protocol/limits.ts';
import { useRequestSchema } from '../protocol/use-request.ts';
import { proofBytesMax } from './use-sealing.ts';

export const partialRequestSchema = z.strictObject({
  /** Whose shares: a peer can sign in either epoch until it has retired the older (§4.5). */
  epoch: shape.epoch,
  request: useRequestSchema,
  /** Asked for only when a combination failed. */
  prove: z.boolean(),
});
export type PartialRequest = z.infer<typeof partialRequestSchema>;

export const partialAnswerSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('partial'),
    partial: shape.number,
    proof: shape.bytes(proofBytesMax).nullable(),
  }),
  /** The partial of a decryption, sealed to the client. */
  z.strictObject({ type: z.literal('sealed-partial'), envelope: shape.bytes(limits.envelopeBytesMax) }),
  z.strictObject({ type: z.literal('refused'), code: z.string().max(32), why: z.string().max(256) }),
  /** That epoch's share is erased; the newest is `now`. */
  z.strictObject({ type: z.literal('gone'), now: shape.epoch }),
  /** No share of that epoch here (yet). */
  z.strictObject({ type: z.literal('absent'), now: shape.epoch }),
]);
export type PartialAnswer = z.infer<typeof partialAnswerSchema>;
export const partialAnswerBytesMax = limits.requestBytesMax;
