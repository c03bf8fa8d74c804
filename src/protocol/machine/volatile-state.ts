/** What of a member's state a start rebuilds. */
import type { Carried, Evidence, RetireProof, Signs } from '../records/change-messages.ts';
import type { Hex } from '../records/codec.ts';
import type { Packet } from '../records/packet.ts';
import type { Accepted } from '../records/value.ts';
import type { RoundStep } from './durable-state.ts';
import type { Job, KeySum } from './io.ts';
import type { JobTag } from './job-tags.ts';
import type { SourceKey, VerdictKey } from './record-keys.ts';
import { noRecovery, type RecoveryState } from './recovery-state.ts';

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

interface SaidOfSelf {
  epoch: number;
  holds: number | null;
  signs: Signs;
}

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
