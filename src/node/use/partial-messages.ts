/**
 * What members ask of each other to use a key, on the request stream. Where one round is enough, a member is
 * asked for its partial. Where a use takes two, it is asked for a nonce commitment, and then for its answer
 * to a fixed set of them.
 */
import { z } from 'zod';
import { envelope, shape } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import { type UseRefusalCode, useRequestSchema } from '../../protocol/records/use-request.ts';

const about = {
  /** Whose shares: a peer can sign in either epoch until it has retired the older (§4.5). */
  epoch: shape.epoch,
  /** As the client signed it; every member checks it each time. */
  request: useRequestSchema,
};
/** The coordinating member's name for one try with two rounds. */
const session = shape.exactly(16);

const partialRequestSchema = z.discriminatedUnion('type', [
  /** Proofs are asked for only when a combination failed. */
  z.strictObject({ type: z.literal('partial'), ...about, prove: z.boolean() }),
  /** Round one of two. */
  z.strictObject({ type: z.literal('nonces'), ...about, session }),
  /** Round two: the nonce commitments of exactly those who answer, by ascending index. */
  z.strictObject({
    type: z.literal('response'),
    ...about,
    session,
    commitments: z
      .array(
        z.strictObject({
          by: shape.index,
          commitment: shape.bytes(limits.nonceCommitmentBytesMax),
        }),
      )
      .max(limits.membersMax),
  }),
  /** This member is not needed: it forgets its nonces. */
  z.strictObject({ type: z.literal('forget'), session }),
]);
export type PartialRequest = z.infer<typeof partialRequestSchema>;
/** A question that a client's request stands behind. */
export type UseQuestion = Exclude<PartialRequest, { type: 'forget' }>;
export const partialRequests = envelope('a question about the use of a key', 1, partialRequestSchema);
export const partialRequestBytesMax = limits.requestBytesMax;

/**
 * Every code by which a member refuses. The check is by type: a code that is missing here does not compile.
 */
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
  'wrong-rounds': true,
  'wrong-session': true,
  'unknown-session': true,
  malformed: true,
  'other-version': true,
  'no-audit': true,
  failed: true,
} as const satisfies Record<
  | UseRefusalCode
  | ('wrong-rounds' | 'wrong-session' | 'unknown-session')
  | ('malformed' | 'other-version' | 'no-audit' | 'failed'),
  true
>;
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

const partialAnswerSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('partial'),
    partial: shape.element,
    proof: shape.bytes(limits.proofBytesMax).nullable(),
  }),
  /** What this member commits to in round one. */
  z.strictObject({
    type: z.literal('nonce-commitment'),
    commitment: shape.bytes(limits.nonceCommitmentBytesMax),
  }),
  /** To a member that has nothing to say: `forget` was done. */
  z.strictObject({ type: z.literal('done') }),
  /** The partial of a decryption, sealed to the client. */
  z.strictObject({ type: z.literal('sealed-partial'), envelope: shape.bytes(limits.envelopeBytesMax) }),
  z.strictObject({ type: z.literal('refused'), code: refusalCode, why: plainText }),
  /** That epoch's share is erased; the newest is `now`. */
  z.strictObject({ type: z.literal('gone'), now: shape.epoch }),
  /** No share of that epoch here (yet). */
  z.strictObject({ type: z.literal('absent'), now: shape.epoch }),
]);
export type PartialAnswer = z.infer<typeof partialAnswerSchema>;
export const partialAnswers = envelope('an answer about the use of a key', 1, partialAnswerSchema);
export const partialAnswerBytesMax = limits.requestBytesMax;
