/** What one simulated run is made of. */
import type { FaultModel } from '../../protocol/records/genesis.ts';
import { faultsOf } from '../../protocol/records/roster.ts';

export interface RunOptions {
  seed: number;
  peers: number;
  threshold: number;
  faultModel: FaultModel;
  /** Members that lie: at most `faults` together with `restores`; or, rarely, more of them, up to `t` (§8). */
  liars: number;
  /** What each liar tells; drawn anew for every liar from these names of `lies/library.ts`. */
  lies: readonly string[];
  /** The lies that all liars tell together; null when each draws its own. */
  alliance: string | null;
  /** Whether liars go on in the liveness phase; else they turn honest in word, with whatever state their lies left. */
  liesLast: boolean;
  /** Members whose store is once put back to an older image. */
  restores: number;
  /** Crashes of honest members during the safety phase. */
  crashes: number;
  partitions: number;
  /** Share of frames that is lost, arrives twice, or comes out of order, in the safety phase. */
  lossRate: number;
  duplicateRate: number;
  reorderRate: number;
  delayMsMax: number;
  /** Share of computations in the safety phase of which the worker dies; the driver starts each once more by itself. */
  workerDeaths: number;
  /** Orders of the operator: clients, keys of either use, members that come and go, a raised threshold. */
  orders: number;
  /** Whether some orders have the members create a key together, of a kind that only tests know. */
  jointKeys: boolean;
  /** The random gate (step 5) of every member. */
  gate: number;
  /** Members, at most `faults`, that die for good once the faults have stopped: all must finish without them. */
  dead: number;
  /**
   * Whether they die at once; else between two changes. Under the crash model k holders (§4.3, `m` = 0) and k
   * Readys are enough: one of them that dies before a member that lags has its share takes the change, or the
   * key, along. Such a member counts against `faults` too (§8), so this is never drawn.
   */
  deadInMidChange: boolean;
  /** Whether more than `faults` members die for good when the faults stop: only a forced eviction helps (§5). */
  dying: boolean;
  /** After how many changes that it did not attend a member counts as a sleeper (§5); small where some are to sleep. */
  absentEpochsMax: number;
  /**
   * Members that stay away until they sleep, once the faults have stopped; at most `faults` with the other
   * faulty ones.
   */
  sleepers: number;
  /** Whether the operator reinstates, at the end, whoever is suspended or asleep. */
  reinstates: boolean;
  /** Whether it goes on for a while when all is done: what a change left behind may show only later. */
  rests: boolean;
  /** The real file store on a simulated disk, instead of records in memory. */
  files: boolean;
  safetyMs: number;
  /** Virtual time after which the liveness phase has failed. */
  livenessMs: number;
}

/** More members lie than `faults`: up to `t` (§8). */
export const tooManyLie = ({ peers, threshold, faultModel, liars }: RunOptions): boolean =>
  liars > faultsOf(peers, threshold, faultModel);
