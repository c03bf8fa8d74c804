/** What one simulated run is made of: all of it follows from the seed, and any of it can be set by hand. */
import type { FaultModel } from '../../src/protocol/genesis.ts';
import { faultsOf } from '../../src/protocol/roster.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { type LieName, lieNames } from './lies/library.ts';

export interface RunOptions {
  seed: number;
  peers: number;
  threshold: number;
  faultModel: FaultModel;
  /** Members that lie, at most `faults` together with `restores`. */
  liars: number;
  /** What each liar tells; drawn anew for every liar from these. */
  lies: readonly LieName[];
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
  /** Orders of the operator: clients, keys. */
  orders: number;
  /** The real file store on a simulated disk, instead of records in memory. */
  files: boolean;
  safetyMs: number;
  /** Virtual time after which the liveness phase has failed. */
  livenessMs: number;
}

/** Small groups most of the time: they run faster, and their quorums are tighter. */
const shapes: ReadonlyArray<readonly [peers: number, threshold: number, model: FaultModel, weight: number]> =
  [
    [4, 2, 'byzantine', 8],
    [5, 3, 'byzantine', 8],
    [5, 2, 'byzantine', 4],
    [3, 2, 'byzantine', 2],
    [3, 2, 'crash', 4],
    [5, 3, 'crash', 3],
    [7, 3, 'byzantine', 4],
    [10, 4, 'byzantine', 1],
    [13, 5, 'byzantine', 0.5],
  ];

export function optionsOf(seed: number, fixed: Partial<Omit<RunOptions, 'seed'>> = {}): RunOptions {
  const random = seededRandom(seed * 7919 + 17);
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));
  const sometimes = (share: number, value: number) => (random() < share ? random() * value : 0);
  const fitting = shapes.filter(
    ([peers, threshold, model]) =>
      (fixed.peers ?? peers) === peers &&
      (fixed.threshold ?? threshold) === threshold &&
      (fixed.faultModel ?? model) === model,
  );
  const total = fitting.reduce((sum, [, , , weight]) => sum + weight, 0);
  let left = random() * total;
  const drawnShape = fitting.find(([, , , weight]) => {
    left -= weight;
    return left < 0;
  });
  const [peers, threshold, faultModel] = drawnShape ?? [
    fixed.peers ?? 5,
    fixed.threshold ?? 3,
    fixed.faultModel ?? 'byzantine',
  ];
  const faults = faultsOf(peers, threshold, faultModel);
  const bad = faultModel === 'byzantine' ? between(0, faults) : 0;
  const restores = bad > 0 && random() < 0.25 ? 1 : 0;
  const drawn: RunOptions = {
    seed,
    peers,
    threshold,
    faultModel,
    liars: bad - restores,
    restores,
    lies: lieNames,
    liesLast: random() < 0.5,
    crashes: random() < 0.3 ? 0 : between(1, 6),
    partitions: random() < 0.5 ? 0 : between(1, 3),
    lossRate: sometimes(0.6, 0.2),
    duplicateRate: sometimes(0.5, 0.1),
    reorderRate: sometimes(0.5, 0.2),
    delayMsMax: between(5, 60),
    orders: random() < 0.5 ? 0 : between(1, 2),
    files: random() < 0.15,
    safetyMs: between(3, 8) * 1000,
    livenessMs: 120_000,
  };
  return { ...drawn, ...fixed };
}
