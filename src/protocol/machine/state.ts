import type { Genesis } from '../records/genesis.ts';
import type { Durable } from './durable-state.ts';
import type { Volatile } from './volatile-state.ts';

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
