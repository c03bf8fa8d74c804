/** The options of a simulated group: its shape, its timers, and lies of its members. */
import type { Job, JobResult } from '../../protocol/machine/io.ts';
import type { Timing } from '../../protocol/machine/state.ts';
import type { Frame } from '../../protocol/records/change-messages.ts';
import type { FaultModel } from '../../protocol/records/genesis.ts';
import type { Client } from '../../protocol/records/value.ts';
import type { Paper } from './paper.ts';
import type { SimulatedNetworkOptions } from './simulated-network.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Timers of a group in which epochs change when a test says so. All are in milliseconds but the jitter. */
export const testTiming: Timing = {
  refreshPeriodMs: 3_600_000,
  refreshJitter: 0.1,
  minimumIntervalMs: 0,
  dealingWindowMs: 500,
  roundTimeoutMs: 500,
  haveDelayMs: 50,
  graceMs: 200,
  resendMs: 300,
  resendMaxMs: 2_000,
  recoveryHoldMs: 2_000,
};

/** How a group is made. */
export interface GroupOptions {
  peers: number;
  threshold: number;
  seed?: number;
  faultModel?: FaultModel;
  membersMax?: number;
  absentEpochsMax?: number;
  gate?: number;
  /** How many epochs each peer keeps in its archive. Left out: all. */
  archiveEpochs?: number;
  timing?: Partial<Timing>;
  network?: Partial<SimulatedNetworkOptions>;
  clients?: Client[];
  /** The error of a peer's wall clock in milliseconds, by its place in `nodes`. */
  clockSkewMs?: Record<number, number>;
  /** A cluster that was made elsewhere. Left out: one of this seed. */
  paper?: Pick<Paper, 'genesis' | 'founding' | 'epochSeeds'>;
  /** Virtual time that the group shares with others. */
  time?: VirtualTime;
  /** A peer's computation begins after this promise. */
  beforeJob?: (node: string, job: Job) => Promise<void> | undefined;
  /** Replaces the result of a peer's computation. */
  afterJob?: (node: string, result: JobResult) => JobResult;
}

/**
 * The frames that arrive instead of `frame`: none drops it, another one lies, two repeat or contradict it.
 */
export type Intercept = (link: { from: string; to: string }, frame: Frame) => Frame[];

/** The bytes that `to` answers when `from` asks it for a partial. `honest` computes the true answer. */
export type AnswerUse = (
  link: { from: string; to: string },
  asked: Uint8Array,
  honest: (asked: Uint8Array) => Promise<Uint8Array>,
) => Promise<Uint8Array>;
