/** What members ask of each other to use a key, on the request stream: one partial for one client-signed request. */
import { z } from 'zod';
import { shape } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import { type UseRefusalCode, useRequestSchema } from '../../protocol/records/use-request.ts';

export const partialRequestSchema = z.strictObject({
  /** Whose shares: a peer can sign in either epoch until it has retired the older (§4.5). */
  epoch: shape.epoch,
  request: useRequestSchema,
  /** Asked for only when a combination failed. */
  prove: z.boolean(),
});
export type PartialRequest = z.infer<typeof partialRequestSchema>;
export const partialRequestBytesMax = limits.requestBytesMax;

/** Every code by which a member refuses. The check is by type: a code that is missing here does not compile. */
const refusalCodes = {
  'wrong-cluster': true,
  'unknown-client': true,
  'bad-signature': true,
  'unknown-key': true,
  'wrong-use': true,
  'not-allowed': true,
  expired: true,
  clock: true,
  'wrong-digest': true,
  'wrong-scheme': true,
  'wrong-ciphertext': true,
  'weak-sealing-key': true,
  'trial-block': true,
  'over-rate': true,
  malformed: true,
  'no-audit': true,
  failed: true,
} as const satisfies Record<UseRefusalCode | 'malformed' | 'no-audit' | 'failed', true>;
type RefusalCode = keyof typeof refusalCodes | 'other';
/** As the API says them; their meaning is in src/api/README.md. */
export const useRefusalCodes: readonly RefusalCode[] = [
  ...(Object.keys(refusalCodes) as Array<keyof typeof refusalCodes>),
  'other',
];

const isKnown = (code: string): code is keyof typeof refusalCodes => Object.hasOwn(refusalCodes, code);
/** Codes go into the audit log and to people: of one that is not known here only that it was another. */
const refusalCode = z
  .string()
  .max(32)
  .transform((code): RefusalCode => (isKnown(code) ? code : 'other'));
/** Shown to people and kept in logs: nothing that moves a terminal, breaks a line or cannot be seen. */
const plainText = z
  .string()
  .max(256)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u);

export const partialAnswerSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('partial'),
    partial: shape.element,
    proof: shape.bytes(limits.proofBytesMax).nullable(),
  }),
  /** The partial of a decryption, sealed to the client. */
  z.strictObject({ type: z.literal('sealed-partial'), envelope: shape.bytes(limits.envelopeBytesMax) }),
  z.strictObject({ type: z.literal('refused'), code: refusalCode, why: plainText }),
  /** That epoch's share is erased; the newest is `now`. */
  z.strictObject({ type: z.literal('gone'), now: shape.epoch }),
  /** No share of that epoch here (yet). */
  z.strictObject({ type: z.literal('absent'), now: shape.epoch }),
]);
export type PartialAnswer = z.infer<typeof partialAnswerSchema>;
export const partialAnswerBytesMax = limits.requestBytesMax;
