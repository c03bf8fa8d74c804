/**
 * Values: what an epoch change decides. The chain of values with their certificates is the cluster's public
 * history.
 */
import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { keyUses } from '../../keys/kind/operation.ts';
import { encode, sameBytes, sameLists, shape } from './codec.ts';
import { limits } from './limits.ts';
import { shortPacketSchema } from './packet.ts';
import { memberSchema } from './roster.ts';
import { record } from './version.ts';

export const keyUseSchema = z.enum(keyUses);
export type KeyUse = z.infer<typeof keyUseSchema>;

/** A shared key. Its commitments change every epoch and are only hashed into the value. */
export const keyRecordSchema = z.strictObject({
  id: shape.hash,
  name: shape.name,
  kind: shape.kind,
  use: keyUseSchema,
  /** The public values of the key, in the encoding of its kind. */
  public: shape.bytes(limits.keyPublicBytesMax),
  /**
   * Of a key that members created together: what its dealings called it before it had public values. Null of
   * a key that a dealer made.
   */
  creation: shape.hash.nullable(),
});
export type KeyRecord = z.infer<typeof keyRecordSchema>;

/**
 * Whether a drafted key is one that members create together in this very change: it has no public values yet.
 */
export const isUnmade = (key: KeyRecord): boolean => key.public.length === 0;

/** Whether a part of a dealing creates this key, rather than refreshing it. */
export const isCreatedBy = ({ creation }: KeyRecord, part: { key: Uint8Array }): boolean =>
  creation !== null && sameBytes(creation, part.key);

const rightSchema = z.strictObject({
  /** A key's name, or `*` for all. */
  key: z.union([shape.name, z.literal('*')]),
  operations: z.array(keyUseSchema).min(1).max(2),
  /** Names of the key's kind, where it has several ways to do one thing; absent: any. */
  schemes: z.array(shape.scheme).min(1).max(limits.schemesPerRightMax).optional(),
});
export const clientSchema = z.strictObject({
  name: shape.name,
  publicKey: shape.key32,
  rights: z.array(rightSchema).max(limits.rightsPerClientMax),
  /** Requests that each peer serves a minute; 0 means no bound. */
  ratePerMinute: z.number().int().min(0).max(1_000_000),
});
export type Client = z.infer<typeof clientSchema>;

/**
 * Who deals the shares of a new key (§4 "Creation"): the operator's command, which has no index. Members
 * count from 1.
 */
export const operatorDealer = 0;
/** A member's index, or the operator's command. */
export const dealerSchema = z.number().int().min(operatorDealer).max(limits.membersMax);

const acceptedSchema = z.strictObject({
  dealer: dealerSchema,
  digest: shape.hash,
});
export type Accepted = z.infer<typeof acceptedSchema>;

/** A member that signed two different Attends for one plan, with both: proof for anyone (§4.1). By index. */
const suspensionSchema = z.strictObject({
  index: shape.index,
  first: shortPacketSchema,
  second: shortPacketSchema,
});
export type Suspension = z.infer<typeof suspensionSchema>;

export const valueSchema = record('a value', 1, {
  epoch: shape.epoch,
  /**
   * Hashes of the values before, newest first: the one at `i` is of epoch `epoch − 1 − i`, as far back as an
   * order may name its value. So every member judges an order alike, whichever links it still keeps.
   */
  ancestors: z.array(shape.hash).max(limits.orderAgeEpochsMax),
  /** Of epoch 0: that of this cluster's founding. */
  plan: shape.hash,
  accepted: z.array(acceptedSchema).max(limits.membersMax + limits.keysMax),
  roster: z.array(memberSchema).min(1).max(limits.membersMax),
  threshold: z.number().int().min(2).max(limits.membersMax),
  keys: z.array(keyRecordSchema).max(limits.keysMax),
  clients: z.array(clientSchema).max(limits.clientsMax),
  suspended: z.array(suspensionSchema).max(limits.membersMax),
  lastOrder: z.number().int().min(0),
  /** Digest of every key's commitments after this epoch's dealings are applied. */
  commitments: shape.hash,
});
export type Value = z.infer<typeof valueSchema>;

const hashes = new WeakMap<Value, Uint8Array>();
/** A value's hash; values are immutable, so it is computed once for each. */
export function hashOfValue(value: Value): Uint8Array {
  const known = hashes.get(value);
  if (known !== undefined) return known;
  const hash = hashOf('holdfast/value/1', encode(value));
  hashes.set(value, hash);
  return hash;
}

/** What the value after this one must carry as its ancestors. */
export const ancestorsAfter = (value: Value): Uint8Array[] =>
  [hashOfValue(value), ...value.ancestors].slice(0, limits.orderAgeEpochsMax);

/**
 * The hash of the value of that epoch on the way to `head`, itself included; undefined when it lies too far
 * back.
 */
export const hashAt = (head: Value, epoch: number): Uint8Array | undefined =>
  epoch === head.epoch ? hashOfValue(head) : head.ancestors[head.epoch - 1 - epoch];

/** Whether a value names the other one as the one before it, and that one's ancestors as its own. */
export function follows(value: Value, parent: Value): boolean {
  return value.epoch === parent.epoch + 1 && sameLists(value.ancestors, ancestorsAfter(parent));
}

/** Commitments of every key, in the order of `value.keys`: `t` group elements a key. */
export const keyCommitmentsSchema = z
  .array(z.array(shape.element).max(limits.membersMax))
  .max(limits.keysMax);
export type KeyCommitments = z.infer<typeof keyCommitmentsSchema>;
export const digestOfCommitments = (commitments: KeyCommitments): Uint8Array =>
  hashOf('holdfast/commitments/1', encode(commitments));
