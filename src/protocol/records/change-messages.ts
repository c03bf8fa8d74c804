/** The messages of an epoch change (§4): shapes, encodings, and the frames in which they travel between two peers. */
import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { encode, envelope, shape } from './codec.ts';
import { limits } from './limits.ts';
import { linkSchema } from './link.ts';
import { orderSchema } from './order.ts';
import { type Packet, packetUpTo, shortPacketSchema } from './packet.ts';
import { dealerSchema, valueSchema } from './value.ts';
import { record, recordUnion } from './version.ts';

const digests = z.array(shape.hash).max(limits.dealingsMax);

/** §4.1: I take part in the change to `epoch` by `plan`; these are my next epoch key and one-time sealing key. */
export const attendSchema = record('an Attend', 1, {
  type: z.literal('attend'),
  by: shape.index,
  epoch: shape.epoch,
  plan: shape.hash,
  epochKey: shape.key32,
  sealingKey: shape.key32,
});
export type Attend = z.infer<typeof attendSchema>;

/** The part of a dealing that is the same for every receiver; its hash is the dealing's digest (§3). */
export const dealingPublicSchema = record('the public half of a dealing', 1, {
  epoch: shape.epoch,
  plan: shape.hash,
  dealer: dealerSchema,
  /**
   * Of a key creation: what signs its packets, as the order says. Here, so that the digest binds it after the
   * decision too.
   */
  dealingKey: shape.key32.optional(),
  parts: z
    .array(
      z.strictObject({
        key: shape.hash,
        commitments: z.array(shape.element).max(limits.membersMax),
        /** Of a part that creates a key: the proof that its dealer knows its constant term. */
        possession: shape.bytes(limits.possessionBytesMax).optional(),
      }),
    )
    .max(limits.keysMax),
});
export type DealingPublic = z.infer<typeof dealingPublicSchema>;
export const digestOfDealing = (publicBytes: Uint8Array): Uint8Array =>
  hashOf('holdfast/dealing/1', publicBytes);

/** §4.2: one signed message per receiver: public part and one envelope per key. */
export const dealingSchema = record('a dealing', 1, {
  type: z.literal('dealing'),
  by: dealerSchema,
  receiver: shape.index,
  public: shape.bytes(limits.dealingPublicBytesMax),
  envelopes: z.array(shape.bytes(limits.envelopeBytesMax)).max(limits.keysMax),
});
export type Dealing = z.infer<typeof dealingSchema>;

/** §4.2: the dealings whose sub-shares I hold durably and have checked; cumulative. */
export const haveSchema = record('a Have', 1, {
  type: z.literal('have'),
  by: shape.index,
  epoch: shape.epoch,
  plan: shape.hash,
  digests,
});
export type Have = z.infer<typeof haveSchema>;

/** §4.3. `validRound` is −1 for a new value; `evidence` is the hash of the evidence that travels beside it. */
const proposalSchema = record('a proposal', 1, {
  type: z.literal('proposal'),
  by: shape.index,
  epoch: shape.epoch,
  round: shape.round,
  instance: shape.hash.nullable(),
  validRound: z.number().int().min(-1).max(limits.roundMax),
  value: valueSchema,
  evidence: shape.hash,
});
export type Proposal = z.infer<typeof proposalSchema>;

/** `instance`: null, or the plan of a forced eviction, whose votes never count with ordinary ones (§5). */
const vote = {
  by: shape.index,
  epoch: shape.epoch,
  round: shape.round,
  instance: shape.hash.nullable(),
  value: shape.hash.nullable(),
};
export const prevoteSchema = record('a vote', 1, { type: z.literal('prevote'), ...vote });
const precommitSchema = record('a vote', 1, { type: z.literal('precommit'), ...vote });
export type Vote = z.infer<typeof prevoteSchema> | z.infer<typeof precommitSchema>;

/** §4.4: I hold my share of `epoch` durably; `trials` is the hash of my trials, which travel beside it. */
export const readySchema = record('a Ready', 1, {
  type: z.literal('ready'),
  by: shape.index,
  epoch: shape.epoch,
  value: shape.hash,
  trials: shape.hash,
});
export type Ready = z.infer<typeof readySchema>;

export const messageSchema = recordUnion(
  'a message of an epoch change',
  1,
  z.discriminatedUnion('type', [
    attendSchema,
    dealingSchema,
    haveSchema,
    proposalSchema,
    prevoteSchema,
    precommitSchema,
    readySchema,
  ]),
);
export type Message = z.infer<typeof messageSchema>;

/** What a member shows for its new share, for every key in the value's order: only the kind of a key reads it. */
const trialsSchema = z.array(shape.bytes(limits.trialBytesMax)).max(limits.keysMax);
export type Trials = z.infer<typeof trialsSchema>;
export const hashOfTrials = (trials: Trials): Uint8Array => hashOf('holdfast/trials/1', encode(trials));

/**
 * Packets in evidence are short: else one leader that lies could have megabytes a round kept and sent again
 * by everybody.
 */
const shortPackets = z.array(shortPacketSchema).max(limits.membersMax);

/** §4.3: what lets anyone judge a proposal without holding a sub-share; not part of the value's hash. */
const evidenceSchema = z.strictObject({
  attends: shortPackets,
  haves: z.array(packetUpTo(limits.haveBodyBytesMax)).max(limits.membersMax),
  orders: z.array(orderSchema).max(limits.ordersPerPlanMax),
  /** Prevotes of `validRound`, when a valid value is proposed again. */
  prevotes: shortPackets,
});
export type Evidence = z.infer<typeof evidenceSchema>;
export const hashOfEvidence = (evidence: Evidence): Uint8Array =>
  hashOf('holdfast/evidence/1', encode(evidence));

/** A packet with what travels beside its signature: bound to it by a hash in the body, or checkable by itself. */
const carriedSchema = z.strictObject({
  packet: packetUpTo(Math.max(limits.dealingBytesMax, limits.proposalBytesMax)),
  /** Of an attend: the plan's orders. */
  orders: z.array(orderSchema).max(limits.ordersPerPlanMax).optional(),
  /** Of a proposal. */
  evidence: evidenceSchema.optional(),
  /** Of a ready. */
  trials: trialsSchema.optional(),
});
export type Carried = z.infer<typeof carriedSchema>;

/**
 * Whether a message carries what belongs to its kind and nothing else, and is no longer than that kind can
 * be: what came beside it would be kept and passed on with it, whoever added it.
 */
export function carriesItsOwn(message: Message, { packet, orders, evidence, trials }: Carried): boolean {
  const { type } = message;
  return (
    (orders === undefined || type === 'attend') &&
    (evidence === undefined || type === 'proposal') &&
    (trials === undefined || type === 'ready') &&
    packet.body.length <= bodyBytesMax[type]
  );
}
const bodyBytesMax: Record<Message['type'], number> = {
  attend: limits.shortBodyBytesMax,
  dealing: limits.dealingBytesMax,
  have: limits.haveBodyBytesMax,
  proposal: limits.proposalBytesMax,
  prevote: limits.shortBodyBytesMax,
  precommit: limits.shortBodyBytesMax,
  ready: limits.shortBodyBytesMax,
};

/** §4.5: a quorum of the new roster's Readys, and for every key the proof that its new shares are there. */
export const retireProofSchema = z.strictObject({
  epoch: shape.epoch,
  readys: shortPackets,
  proofs: z.array(shape.bytes(limits.trialProofBytesMax)).max(limits.keysMax),
});
export type RetireProof = z.infer<typeof retireProofSchema>;

const recalledSchema = z.array(packetUpTo(limits.proposalBytesMax)).max(limits.recalledPacketsMax);

/**
 * Restart rule: these are all the messages of `to` that I hold of the undecided change; for the wait with
 * this nonce only.
 */
export const memorySchema = record('a memory', 1, {
  type: z.literal('memory'),
  by: shape.index,
  epoch: shape.epoch,
  to: shape.index,
  nonce: shape.hash,
  packets: shape.hash,
});
export type Memory = z.infer<typeof memorySchema>;
export const hashOfRecalled = (packets: readonly Packet[]): Uint8Array =>
  hashOf('holdfast/recalled/1', encode(packets));

/** Whether a member signs in the undecided change; `asking` until a restart is over. */
const signsSchema = z.enum(['yes', 'asking', 'no']);
export type Signs = z.infer<typeof signsSchema>;

/** Frames between two peers. By which path each is taken: `frame-paths.ts`. */
export const frameSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('message'), message: carriedSchema }),
  /** What I know: my newest value, whether I retired what is older, and what I hold of the undecided change. */
  z.strictObject({
    type: z.literal('summary'),
    epoch: shape.epoch,
    /** Of the oldest link that the sender can send: who is further behind asks others. */
    oldest: shape.epoch,
    retired: shape.epoch,
    /** Short hashes (8 bytes each, concatenated) of the messages that I hold, sorted. */
    seen: shape.bytes(limits.seenBytesMax),
    /** Digests of dealings of the undecided change whose public part I miss. */
    wanted: digests,
    /** The sender's wall clock, Unix milliseconds: only to name clocks that are wrong (§8). */
    wallMs: z.number().int().min(0),
    /**
     * The sender's word about itself, which advises people and decides nothing: the newest epoch of which it
     * holds its share.
     */
    holds: shape.epoch.nullable(),
    /**
     * Likewise whether it signs in the undecided change: `asking` until a restart is over, `no` when its
     * store went back.
     */
    signs: signsSchema,
    reply: z.boolean(),
  }),
  z.strictObject({ type: z.literal('links'), links: z.array(linkSchema).max(limits.linksPerFrameMax) }),
  z.strictObject({ type: z.literal('retire'), proof: retireProofSchema }),
  /** §4.1: two different Attends of one member for one plan: proof for anyone. */
  z.strictObject({ type: z.literal('contradiction'), first: shortPacketSchema, second: shortPacketSchema }),
  /** §4.2: this dealing is false for me. */
  z.strictObject({ type: z.literal('accusation'), packet: shortPacketSchema }),
  /** §5: a recovery message; beside a run, the signed grants of its helpers; beside a choice, their accepts. */
  z.strictObject({
    type: z.literal('recovery'),
    packet: packetUpTo(limits.dealingBytesMax),
    beside: shortPackets,
  }),
  /** Restart rule: what of mine do you hold of the undecided change to `epoch`? The nonce is of this wait only. */
  z.strictObject({ type: z.literal('recall'), epoch: shape.epoch, nonce: shape.hash }),
  /** The answer: `packet` holds a `Memory`, and `packets` are the messages whose hash it signs. */
  z.strictObject({ type: z.literal('recalled'), packet: shortPacketSchema, packets: recalledSchema }),
  z.strictObject({
    type: z.literal('publics'),
    publics: z.array(shape.bytes(limits.dealingPublicBytesMax)).max(limits.dealingsMax),
  }),
]);
export type Frame = z.infer<typeof frameSchema>;
export const frameEnvelope = envelope('a frame', 1, frameSchema);
