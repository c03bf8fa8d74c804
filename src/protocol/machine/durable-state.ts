/** What of a member's state must survive a power cut. */
import { z } from 'zod';
import type {
  Attend,
  Carried,
  Have,
  Message,
  Proposal,
  Ready,
  RetireProof,
  Vote,
} from '../records/change-messages.ts';
import { type Hex, shape } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import type { Link } from '../records/link.ts';
import type { Order } from '../records/order.ts';
import type { Packet } from '../records/packet.ts';
import type {
  AccusationKey,
  AuthorKey,
  BlameKey,
  BlameKind,
  DestroyedKeyKey,
  OutboxKey,
  PauseKey,
  PauseKind,
  VoteKey,
} from './record-keys.ts';

/** A message, and the packet in which its author signed it. */
export interface Entry<T extends Message> {
  message: T;
  carried: Carried;
}

/**
 * The keys of a plan that this member attended: the public epoch key, and the one-time sealing key with its
 * secret half.
 */
interface AttendedPlan {
  epochKey: Uint8Array;
  sealingKey: Uint8Array;
  sealingSecret: Uint8Array;
}

/** This member's own dealing for a plan. The coefficients are secret, and Retire erases them. */
interface OwnDealing {
  digest: Uint8Array;
  public: Uint8Array;
  /** For every key the `t` coefficients of γ, as minimal signed bytes. */
  coefficients: Uint8Array[][];
}

/** A checked sub-share of one dealing. It has a number for each part of the dealing's public half. Secret. */
interface SubShare {
  epoch: number;
  plan: Uint8Array;
  dealer: number;
  numbers: Uint8Array[];
}

/** The step of a round. The proposal, the prevotes or the precommits of the round are awaited. */
export type RoundStep = 'propose' | 'prevote' | 'precommit';
/**
 * The state of agreement in the undecided change: round, step, locked value and valid value (Buchman et al.
 * 2018).
 */
export interface Rounds {
  epoch: number;
  round: number;
  step: RoundStep;
  locked: { round: number; value: Hex } | null;
  valid: { round: number; value: Hex } | null;
}

/**
 * A note on one epoch, for people: the time of the decision here, and the members that contradicted
 * themselves in the change.
 */
export const noteSchema = z.strictObject({
  decidedAtMs: z.number(),
  /** The hash of the epoch's value. */
  value: shape.hash,
  contradicted: z.array(shape.index).max(limits.membersMax),
});
export type Note = z.infer<typeof noteSchema>;

/** A wrong act of a member, in the change to `epoch`. */
export interface Blame {
  epoch: number;
  by: number;
  kind: BlameKind;
  /**
   * Two signed messages that contradict each other (`isProof`). Anyone can check them. Without a proof, the
   * blame is this member's own observation.
   */
  proof?: readonly [Packet, Packet];
}

/**
 * A recovery that met the next change (§5), as this member saw it. This member held the change to `epoch`
 * back for member `index`, or member `index` was told to wait for that change.
 */
export interface Pause {
  kind: PauseKind;
  epoch: number;
  index: number;
  /**
   * Unix time in milliseconds. `untilMs` is the bound at first, and later the true end when that is earlier.
   */
  fromMs: number;
  untilMs: number;
}

/**
 * A destroyed key, and the members that held shares of it. They may still hold them until they attend again.
 */
interface DestroyedKey {
  name: string;
  /** The epoch that destroyed the key. */
  epoch: number;
  /** The members' peer ids. */
  holders: string[];
}

/** Everything that must survive a power cut. Each record is one record of the store. */
export interface Durable {
  /** The newest links. The archive has a copy of each, and all older ones (`retention.ts`). */
  links: Record<number, Link>;
  retires: Record<number, RetireProof>;
  notes: Record<number, Note>;
  destroyed: Record<DestroyedKeyKey, DestroyedKey>;
  blames: Record<BlameKey, Blame>;
  /** Signed accusations of false sub-shares. */
  accusations: Record<AccusationKey, { packet: Packet }>;
  pauses: Record<PauseKey, Pause>;
  /** Epoch → key id → share. Secret. */
  shares: Record<number, Record<Hex, Uint8Array>>;
  /** Public epoch key → its secret seed. */
  epochSecrets: Record<Hex, Uint8Array>;
  /** Pending orders by sequence number. */
  orders: Record<number, Order>;
  /** The orders, in sequence, of every plan of the undecided change that an Attend taught this member. */
  plans: Record<Hex, { orders: Order[] }>;
  /**
   * The plans that this member attended. They are kept until Retire, because their sealing secrets are
   * needed.
   */
  attended: Record<Hex, AttendedPlan>;
  dealt: Record<Hex, OwnDealing>;
  /** This member's own sealed dealings, as they leave. */
  outbox: Record<OutboxKey, { packet: Packet }>;
  /** Checked sub-shares by dealing digest. */
  subShares: Record<Hex, SubShare>;
  /** Public halves of dealings by digest. */
  publics: Record<Hex, { bytes: Uint8Array }>;
  /**
   * Two different Attends that a member signed, in this change, or in the change before while no value
   * records them.
   */
  contradictions: Record<AuthorKey, { first: Packet; second: Packet }>;
  attends: Record<AuthorKey, Entry<Attend>>;
  haves: Record<AuthorKey, Entry<Have>>;
  /** By round. */
  proposals: Record<number, Entry<Proposal>>;
  votes: Record<VoteKey, Entry<Vote>>;
  /**
   * By peer id, the order that admitted or reinstated a member. This member's lobby gives it to the newcomer,
   * which starts from the value that the order names.
   */
  admissions: Record<string, Order>;
  /** Readys of the newest epoch, by index. */
  readys: Record<number, Entry<Ready>>;
  /** Facts that have one record together. */
  own: {
    /** The epoch of the newest certified value that this member knows. */
    head: number;
    /** The epoch of the oldest link in the archive: the first that this member had, or that it kept. */
    oldest: number;
    rounds: Rounds | null;
    /**
     * The forced eviction that this member takes part in. It has an instance of its own, in which only the
     * remaining members decide (§5).
     */
    forced: { plan: Hex; remaining: number[] } | null;
    /** The highest epoch whose predecessors this member has erased. */
    retired: number;
    /** The number that this member drew at its random gate for the undecided change. */
    drawn: { epoch: number; number: number } | null;
    /** This member's store went back in time. The member signs nothing until the next certificate. */
    muted: { epoch: number } | null;
  };
}

/** A part of the state that holds many records. Each is one record of the store. */
export type Section = Exclude<keyof Durable, 'own'>;
export type KeyIn<S extends Section> = keyof Durable[S];
export type RecordIn<S extends Section> = Durable[S][KeyIn<S>];

export const emptyDurable = (): Durable => ({
  links: {},
  retires: {},
  notes: {},
  destroyed: {},
  blames: {},
  accusations: {},
  pauses: {},
  shares: {},
  epochSecrets: {},
  orders: {},
  plans: {},
  attended: {},
  dealt: {},
  outbox: {},
  subShares: {},
  publics: {},
  contradictions: {},
  attends: {},
  haves: {},
  proposals: {},
  votes: {},
  readys: {},
  admissions: {},
  own: { head: 0, oldest: 0, rounds: null, forced: null, retired: 0, drawn: null, muted: null },
});
