/** The options of one simulated run. */
import type { FaultModel } from '../../protocol/records/genesis.ts';
import { faultsOf } from '../../protocol/records/roster.ts';

/** The options of one run. Rates and shares are from 0 to 1. */
export interface RunOptions {
  seed: number;
  peers: number;
  threshold: number;
  faultModel: FaultModel;
  /**
   * Members that lie. Together with `restores` they are at most `faults`; rarely they are more, up to `t`
   * (§8).
   */
  liars: number;
  /** Names from `lies/library.ts`. Each liar draws its lies from them. */
  lies: readonly string[];
  /** The lies that all liars tell together. Null when each liar draws its own. */
  alliance: string | null;
  /**
   * The liars go on in the liveness phase. Otherwise they stop lying, in the state in which their lies left
   * them.
   */
  liesLast: boolean;
  /** Members whose store is put back to an older image once. */
  restores: number;
  /** Crashes of honest members in the safety phase. */
  crashes: number;
  partitions: number;
  /** The share of frames that are lost, arrive twice, or arrive out of order in the safety phase. */
  lossRate: number;
  duplicateRate: number;
  reorderRate: number;
  delayMsMax: number;
  /**
   * The share of computations in the safety phase whose worker dies. The driver starts each one again once.
   */
  workerDeaths: number;
  /** Orders of the operator: clients, keys of either use, admissions, evictions, a raised threshold. */
  orders: number;
  /** Some orders have the members create a key together, of a kind that only the simulator knows. */
  jointKeys: boolean;
  /** The random gate of every member (protocol §3). */
  gate: number;
  /**
   * Members, at most `faults`, that die for good once the faults have stopped. All others must finish without
   * them.
   */
  dead: number;
  /**
   * The members in `dead` die at once. Otherwise they die between two changes. It is never drawn, because it
   * makes more than `faults` faulty members (§8). Under the crash model `k` holders (§4.3, `m = 0`) and `k`
   * Readys are enough. When one of these members dies before a slower member has its share, the change or the
   * key is lost.
   */
  deadInMidChange: boolean;
  /** More than `faults` members die for good when the faults stop. Only a forced eviction helps (§5). */
  dying: boolean;
  /**
   * A member sleeps after it did not attend this many changes (§5). The number is small when members are to
   * sleep.
   */
  absentEpochsMax: number;
  /**
   * Members that stay away until they sleep, once the faults have stopped. Together with the other faulty
   * members they are at most `faults`.
   */
  sleepers: number;
  /** At the end the operator reinstates the suspended and sleeping members. */
  reinstates: boolean;
  /** The run goes on for a while when all is done, because some faults of a change show later. */
  rests: boolean;
  /** Peers use the real file store on a simulated disk. Otherwise records are in memory. */
  files: boolean;
  safetyMs: number;
  /** After this virtual time, in milliseconds, the liveness phase has failed. */
  livenessMs: number;
}

/** Whether more than `faults` members lie (§8). */
export const tooManyLie = ({ peers, threshold, faultModel, liars }: RunOptions): boolean =>
  liars > faultsOf(peers, threshold, faultModel);
