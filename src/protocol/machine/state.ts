/**
 * The state of one member's core. `durable` is everything that must survive a power cut: the driver makes
 * each change of it durable before anything of the same step leaves. `volatile` is rebuilt at start. Records
 * are immutable: a step replaces them (see `work.ts`), so that a step that fails half-way leaves nothing
 * behind.
 */

import { z } from 'zod';
import type {
  Attend,
  Carried,
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

export interface Timing {
  refreshPeriodMs: number;
  /** Part of the period, 0–1, by which each is drawn longer or shorter at random. */
  refreshJitter: number;
  minimumIntervalMs: number;
  dealingWindowMs: number;
  roundTimeoutMs: number;
  /** How long a new sub-share may wait for company before a Have lists it. */
  haveDelayMs: number;
  /** How long the holder of a retire proof waits for stragglers before it erases. */
  graceMs: number;
  resendMs: number;
  resendMaxMs: number;
  recoveryHoldMs: number;
}

export interface Entry<T extends Message> {
  message: T;
  carried: Carried;
}

/** A plan that this member attended, with the private halves of the keys that its Attend announced. */
interface AttendedPlan {
  epochKey: Uint8Array;
  sealingKey: Uint8Array;
  sealingSecret: Uint8Array;
}

/** This member's own dealing for a plan; the coefficients are secret and go at Retire. */
interface OwnDealing {
  digest: Uint8Array;
  public: Uint8Array;
  /** For every key the `t` coefficients of γ, as minimal signed bytes. */
  coefficients: Uint8Array[][];
}

/** A checked sub-share of one dealing: one number per part of its public half. */
interface SubShare {
  epoch: number;
  plan: Uint8Array;
  dealer: number;
  numbers: Uint8Array[];
}

/** What is left of a proposal that was refuted: enough to tell a second one, and for proof where it is short. */
export interface RefutedProposal {
  /** Hash of its signed body. */
  name: Hex;
  packet: Packet | null;
  /** Its leader has proposed something else, too: no third one is looked at. */
  contradicted: boolean;
}

export type RoundStep = 'propose' | 'prevote' | 'precommit';
export interface Rounds {
  epoch: number;
  round: number;
  step: RoundStep;
  locked: { round: number; value: Hex } | null;
  valid: { round: number; value: Hex } | null;
}

/** Of one epoch, for people: when it was decided here, and who contradicted itself in the change to it. */
export const noteSchema = z.strictObject({
  decidedAtMs: z.number(),
  /** Hash of the epoch's value. */
  value: shape.hash,
  contradicted: z.array(shape.index).max(limits.membersMax),
});
export type Note = z.infer<typeof noteSchema>;

export interface Blame {
  epoch: number;
  by: number;
  kind: BlameKind;
  /**
   * Two signed messages that contradict each other (`isProof`): anyone can check them. Without, it is what
   * this member saw.
   */
  proof?: readonly [Packet, Packet];
}

/**
 * A recovery that met the next change (§5), as this member saw it: it held the change to `epoch` back for the
 * member with this index, or that member was told to wait for it.
 */
export interface Pause {
  kind: PauseKind;
  epoch: number;
  index: number;
  /** Wall clock, Unix milliseconds; `untilMs` is the bound at first, and the true end once it ended earlier. */
  fromMs: number;
  untilMs: number;
}

/** A key that is gone, and who held a share of it: they may hold it still, until they show themselves again. */
interface DestroyedKey {
  name: string;
  /** The epoch that destroyed it. */
  epoch: number;
  /** Peer ids. */
  holders: string[];
}

export interface Durable {
  /** The newest ones, with a copy of each in the archive, which holds all (`retention.ts`). */
  links: Record<number, Link>;
  retires: Record<number, RetireProof>;
  notes: Record<number, Note>;
  destroyed: Record<DestroyedKeyKey, DestroyedKey>;
  blames: Record<BlameKey, Blame>;
  /** Signed accusations of false sub-shares. */
  accusations: Record<AccusationKey, { packet: Packet }>;
  pauses: Record<PauseKey, Pause>;
  /** Epoch → key id → share. */
  shares: Record<number, Record<Hex, Uint8Array>>;
  /** Public epoch key → its secret seed. */
  epochSecrets: Record<Hex, Uint8Array>;
  /** Pending orders by sequence number. */
  orders: Record<number, Order>;
  /** Orders of every plan of the undecided change that some Attend taught, in sequence. */
  plans: Record<Hex, { orders: Order[] }>;
  /** Plans that this member attended; kept until Retire, for their sealing secrets. */
  attended: Record<Hex, AttendedPlan>;
  dealt: Record<Hex, OwnDealing>;
  /** Own sealed dealings as they leave. */
  outbox: Record<OutboxKey, { packet: Packet }>;
  /** Checked sub-shares by dealing digest. */
  subShares: Record<Hex, SubShare>;
  /** Public halves of dealings by digest. */
  publics: Record<Hex, { bytes: Uint8Array }>;
  /** Two different Attends that a member signed, in this change or, not recorded yet, in the one before. */
  contradictions: Record<AuthorKey, { first: Packet; second: Packet }>;
  attends: Record<AuthorKey, Entry<Attend>>;
  haves: Record<AuthorKey, Entry<Have>>;
  /** By round. */
  proposals: Record<number, Entry<Proposal>>;
  votes: Record<VoteKey, Entry<Vote>>;
  /**
   * The order that admitted or reinstated a member, by peer id: its lobby hands it out, because the newcomer
   * starts from what it names.
   */
  admissions: Record<string, Order>;
  /** Readys of the newest epoch, by index. */
  readys: Record<number, Entry<Ready>>;
  /** Single records. */
  own: {
    /** Epoch of the newest certified value that this member knows. */
    head: number;
    /** Epoch of the oldest link in the archive: the first that this member had, or has kept. */
    oldest: number;
    rounds: Rounds | null;
    /**
     * A forced eviction that this member takes part in: its own instance, in which only those who remain
     * decide (§5).
     */
    forced: { plan: Hex; remaining: number[] } | null;
    /** Highest epoch whose predecessors this member erased. */
    retired: number;
    /** The number drawn at the random gate for the undecided change. */
    drawn: { epoch: number; number: number } | null;
    /** This member's store went back in time: it signs nothing until the next certificate. */
    muted: { epoch: number } | null;
  };
}

interface SaidOfSelf {
  epoch: number;
  holds: number | null;
  signs: Signs;
}

/** What is kept as many records; each record is one of the store. */
export type Section = Exclude<keyof Durable, 'own'>;
export type KeyIn<S extends Section> = keyof Durable[S];
export type RecordIn<S extends Section> = Durable[S][KeyIn<S>];

export interface Volatile {
  nowMs: number;
  wallMs: number;
  connected: Record<string, true>;
  authenticated: Record<string, true>;
  /** By how much each connected peer's wall clock was ahead of ours when it last said. */
  clockAheadMs: Record<string, number>;
  /**
   * What each connected member last said of itself in a summary of its `epoch`: it advises people, and
   * decides nothing (§9).
   */
  saidOfSelf: Record<string, SaidOfSelf>;
  /** What each connected peer last said of its chain: the newest epoch, and the oldest whose link it can send. */
  chains: Record<string, { head: number; oldest: number }>;
  /** After a restart: members that have answered what they hold of ours (§4, restart rule); null once a quorum has. */
  recall: { epoch: number; nonce: Uint8Array; answered: Record<string, true>; askAtMs: number } | null;
  /**
   * When this member started, and when the first Attend of the undecided change came: what is shown as wrong
   * waits a moment.
   */
  bootedAtMs: number;
  gatheringSinceMs: number | null;
  refreshAtMs: number | null;
  refreshWanted: boolean;
  lastChangeAtMs: number | null;
  windowEndsAtMs: number | null;
  /** Timeouts grow from this round on: the one in which a member connected last (§4.3). */
  timeoutsFromRound: number;
  /** Peers whose connecting has reset the timeouts in this change. */
  timeoutsResetBy: Record<string, true>;
  /** At most one running timer per step of the current round. */
  timers: Partial<Record<RoundStep, { round: number; atMs: number }>>;
  haveAtMs: number | null;
  retireAtMs: number | null;
  resendAtMs: number | null;
  resendIntervalMs: number;
  /**
   * Final verdicts: a valid value by its hash, one found invalid also by its round, because its evidence may
   * come again.
   */
  verdicts: Record<VerdictKey, 'valid' | 'invalid'>;
  /** Packets of dealings that are not checked yet, by the hash of each. `source` as below. */
  inbox: Record<Hex, { digest: Hex; dealer: number; plan: Hex; source: SourceKey; envelopes: Uint8Array[] }>;
  /** Hashes of packets that failed their check. */
  refusedDealings: Record<SourceKey, Hex[]>;
  /** Jobs that failed, by tag: since when, how often, why, and when each may start again. */
  failing: Record<JobTag, { failures: number; sinceMs: number; retryAtMs: number; cause: string }>;
  /** Heavy arithmetic by tag: under way, or `vain`: the same job would give the same again in this epoch. */
  jobs: Record<JobTag, 'under way' | 'vain'>;
  /** Messages of the next epoch that came before its decision. */
  early: Array<{ from: string; carried: Carried; bytes: number }>;
  /** By round: a proposal that its own evidence refutes. It is kept nowhere else, and nobody is sent it. */
  refutedProposals: Record<string, RefutedProposal>;
  recovery: RecoveryState;
}

export interface CoreState {
  readonly genesis: Genesis;
  readonly clusterId: Uint8Array;
  /** This member's libp2p peer id. */
  readonly peer: string;
  readonly timing: Timing;
  readonly gate: number;
  /** How many epochs the archive keeps; null: all. */
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
  refusedDealings: {},
  jobs: {},
  failing: {},
  early: [],
  refutedProposals: {},
  recovery: noRecovery(),
});
