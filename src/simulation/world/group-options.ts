/** What a simulated group is made of, how fast it lives, and how its members are made to lie. */
import type { Job, JobResult } from '../../protocol/machine/io.ts';
import type { Timing } from '../../protocol/machine/state.ts';
import type { Frame } from '../../protocol/records/change-messages.ts';
import type { FaultModel } from '../../protocol/records/genesis.ts';
import type { Client } from '../../protocol/records/value.ts';
import type { Paper } from './paper.ts';
import type { SimulatedNetworkOptions } from './simulated-network.ts';
import type { VirtualTime } from './virtual-time.ts';

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

export interface GroupOptions {
  peers: number;
  threshold: number;
  seed?: number;
  faultModel?: FaultModel;
  membersMax?: number;
  absentEpochsMax?: number;
  gate?: number;
  /** How many epochs each peer keeps in its archive; all when not given. */
  archiveEpochs?: number;
  timing?: Partial<Timing>;
  network?: Partial<SimulatedNetworkOptions>;
  clients?: Client[];
  /** By how much the wall clock of a peer (its place in `nodes`) is wrong. */
  clockSkewMs?: Record<number, number>;
  /** A cluster that was made elsewhere, instead of one of this seed. */
  paper?: Pick<Paper, 'genesis' | 'founding' | 'epochSeeds'>;
  /** Virtual time that others live in too. */
  time?: VirtualTime;
  /** What a peer's computation waits for before it begins. */
  beforeJob?: (node: string, job: Job) => Promise<void> | undefined;
  /** What a peer takes for the result of its computation. */
  afterJob?: (node: string, result: JobResult) => JobResult;
}

/** The frames that arrive instead of `frame`: none drops it, another lies, two repeat or contradict. */
export type Intercept = (link: { from: string; to: string }, frame: Frame) => Frame[];

/** What `to` answers when `from` asks it for a partial; `honest` computes that. */
export type AnswerUse = (
  link: { from: string; to: string },
  asked: Uint8Array,
  honest: (asked: Uint8Array) => Promise<Uint8Array>,
) => Promise<Uint8Array>;
