/**
 * The state of one member's core. `durable` holds everything that must survive a power cut. The driver makes
 * each change of it durable before any output of the same step leaves. `volatile` is rebuilt at a start.
 * Records are immutable, and a step replaces them (see `work.ts`). So a step that fails half-way leaves
 * nothing behind.
 */

import { z } from 'zod';
import type {
  Attend,
  Carried,
  Evidence,
  Have,
  Message,
  Proposal,
  Ready,
  RetireProof,
  Signs,
  Vote,
} from '../records/change-messages.ts';
import { type Hex, shape } from '../records/codec.ts';
import type { Genesis } from '../records/genesis.ts';
import { limits } from '../records/limits.ts';
import type { Link } from '../records/link.ts';
import type { Order } from '../records/order.ts';
import type { Packet } from '../records/packet.ts';
import type { Accepted } from '../records/value.ts';
import type { Job, KeySum } from './io.ts';
import type { JobTag } from './job-tags.ts';
import type {
  AccusationKey,
  AuthorKey,
  BlameKey,
  BlameKind,
  DestroyedKeyKey,
  OutboxKey,
  PauseKey,
  PauseKind,
  SourceKey,
  VerdictKey,
  VoteKey,
} from './record-keys.ts';
import { noRecovery, type RecoveryState } from './recovery-state.ts';

/** The member's settings of time, in milliseconds. */
export interface Timing {
  refreshPeriodMs: number;
  /** Each period is longer or shorter at random, by up to this part of it (0 to 1). */
  refreshJitter: number;
  minimumIntervalMs: number;
  dealingWindowMs: number;
  roundTimeoutMs: number;
  /** A Have waits so long for more sub-shares before it lists a new one. */
  haveDelayMs: number;
  /** The holder of a retire proof waits so long for stragglers before it erases. */
  graceMs: number;
  resendMs: number;
  resendMaxMs: number;
  recoveryHoldMs: number;
}

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

/**
 * The rest of a refuted proposal. It suffices to recognize a second one, and it is a proof when the packet is
 * short.
 */
export interface RefutedProposal {
  /** The hash of the proposal's signed body. */
  name: Hex;
  packet: Packet | null;
  /** True when the leader has proposed something else too. A third proposal is not looked at. */
  contradicted: boolean;
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

interface SaidOfSelf {
  epoch: number;
  holds: number | null;
  signs: Signs;
}

/** A part of the state that holds many records. Each is one record of the store. */
export type Section = Exclude<keyof Durable, 'own'>;
export type KeyIn<S extends Section> = keyof Durable[S];
export type RecordIn<S extends Section> = Durable[S][KeyIn<S>];

/** Accepted dealings with what shows that enough members hold them. */
export interface HeldEvidence {
  accepted: Accepted[];
  evidence: Evidence;
  /** Nobody and nothing is missing: waiting would add nothing. */
  complete: boolean;
}

/** Everything that a start rebuilds. Times `…AtMs` are monotonic milliseconds. */
export interface Volatile {
  nowMs: number;
  wallMs: number;
  connected: Record<string, true>;
  authenticated: Record<string, true>;
  /**
   * The milliseconds by which each connected peer's wall clock was ahead of this one, when the peer last said
   * its time.
   */
  clockAheadMs: Record<string, number>;
  /**
   * Each connected member's last word about itself, in a summary of its `epoch`. It advises people, and
   * decides nothing (§9).
   */
  saidOfSelf: Record<string, SaidOfSelf>;
  /** The connected members that sent a record of a later version, and what was said of it. It is only shown. */
  newerAt: Record<string, string>;
  /**
   * Each connected peer's last word about its chain: the newest epoch, and the oldest epoch whose link it can
   * send.
   */
  chains: Record<string, { head: number; oldest: number }>;
  /**
   * After a restart: the members that have answered with this member's earlier messages (§4, restart rule).
   * Null once a quorum has answered.
   */
  recall: { epoch: number; nonce: Uint8Array; answered: Record<string, true>; askAtMs: number } | null;
  /**
   * The start of this member, and the first Attend of the undecided change. Problems are shown only some time
   * after these.
   */
  bootedAtMs: number;
  gatheringSinceMs: number | null;
  refreshAtMs: number | null;
  refreshWanted: boolean;
  lastChangeAtMs: number | null;
  windowEndsAtMs: number | null;
  /** Timeouts grow from this round on. It is the round in which a member connected last (§4.3). */
  timeoutsFromRound: number;
  /** The peers that have reset the timeouts of this change by connecting. */
  timeoutsResetBy: Record<string, true>;
  /** The running timers of the current round, at most one for each step. */
  timers: Partial<Record<RoundStep, { round: number; atMs: number }>>;
  haveAtMs: number | null;
  retireAtMs: number | null;
  resendAtMs: number | null;
  resendIntervalMs: number;
  /**
   * Final verdicts. A valid value is named by its hash. An invalid one is named by its hash and round,
   * because the value may come again with better evidence.
   */
  verdicts: Record<VerdictKey, 'valid' | 'invalid'>;
  /** Packets of dealings that are not checked yet, by their hashes. `source` names plan and dealer. */
  inbox: Record<
    Hex,
    { from: string; digest: Hex; dealer: number; plan: Hex; source: SourceKey; envelopes: Uint8Array[] }
  >;
  /** By a dealing's digest, whether its parts of new keys are true, as a job has found. */
  parts: Record<Hex, boolean>;
  /**
   * What jobs have made of keys, the newest few. The name is a hash over plan and accepted dealings. Null: the
   * dealings make no keys.
   */
  sums: Record<Hex, KeySum[] | null>;
  /** The dealings that this member leads with in a round, from when the job with this tag sums their keys. */
  candidate: { round: number; plan: Hex; found: HeldEvidence; tag: JobTag } | null;
  /** Retire proofs of the newest epoch that wait for a job, by the peer that sent each. */
  retireProofs: Record<string, { proof: RetireProof; job: Extract<Job, { kind: 'judge-retire' }> }>;
  /** The hashes of packets that failed their check. */
  refusedDealings: Record<SourceKey, Hex[]>;
  /** Failed jobs by tag: since when they fail, how often, why, and when each may start again. */
  failing: Record<JobTag, { failures: number; sinceMs: number; retryAtMs: number; cause: string }>;
  /** Jobs by tag. `vain`: the same job would give the same result again in this epoch. */
  jobs: Record<JobTag, 'under way' | 'vain'>;
  /** Messages of the next epoch that came before the decision. */
  early: Array<{ from: string; carried: Carried; bytes: number }>;
  /**
   * By round, a proposal that its own evidence refutes. It is kept nowhere else, and no member gets it from
   * here.
   */
  refutedProposals: Record<string, RefutedProposal>;
  recovery: RecoveryState;
}

/** The whole state of a member's core. A step makes a new one and never changes this one. */
export interface CoreState {
  readonly genesis: Genesis;
  readonly clusterId: Uint8Array;
  /** This member's libp2p peer id. */
  readonly peer: string;
  readonly timing: Timing;
  readonly gate: number;
  /** The number of epochs that the archive keeps. Null means all. */
  readonly archiveEpochs: number | null;
  readonly durable: Readonly<Durable>;
  readonly volatile: Readonly<Volatile>;
}

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

export const emptyVolatile = (): Volatile => ({
  nowMs: 0,
  wallMs: 0,
  connected: {},
  authenticated: {},
  clockAheadMs: {},
  saidOfSelf: {},
  newerAt: {},
  chains: {},
  recall: null,
  bootedAtMs: 0,
  gatheringSinceMs: null,
  refreshAtMs: null,
  refreshWanted: false,
  lastChangeAtMs: null,
  windowEndsAtMs: null,
  timeoutsFromRound: 0,
  timeoutsResetBy: {},
  timers: {},
  haveAtMs: null,
  retireAtMs: null,
  resendAtMs: null,
  resendIntervalMs: 0,
  verdicts: {},
  inbox: {},
  parts: {},
  sums: {},
  candidate: null,
  retireProofs: {},
  refusedDealings: {},
  jobs: {},
  failing: {},
  early: [],
  refutedProposals: {},
  recovery: noRecovery(),
});
