/**
 * The options that a seed draws. Everything in a run follows from its seed. Any option can be set by hand
 * instead.
 */
import type { FaultModel } from '../protocol/records/genesis.ts';
import { faultsOf } from '../protocol/records/roster.ts';
import { floodLies } from './lies/floods.ts';
import { allianceNames, lieNames } from './lies/library.ts';
import type { RunOptions } from './world/run-options.ts';
import { seededRandom } from './world/seeded-random.ts';

/**
 * Options of a large group, which lives for few changes: its messages grow at least with the square of its
 * size.
 */
const brief = {
  ...{ crashes: 0, partitions: 0, orders: 0, lossRate: 0, duplicateRate: 0, restores: 0 },
  ...{ files: false, dying: false, rests: false, safetyMs: 500 },
  lies: lieNames.filter((name) => !(name in floodLies)),
} satisfies Partial<RunOptions>;

/** Most groups are small: they run faster, and their quorums are tighter. */
const shapes: ReadonlyArray<readonly [peers: number, threshold: number, model: FaultModel, weight: number]> =
  [
    [4, 2, 'byzantine', 44],
    [5, 3, 'byzantine', 13],
    [5, 2, 'byzantine', 5],
    [3, 2, 'byzantine', 8],
    [3, 2, 'crash', 18],
    [5, 3, 'crash', 4],
    [5, 4, 'byzantine', 2],
    [6, 3, 'byzantine', 1],
    [7, 3, 'byzantine', 2],
    [7, 3, 'crash', 0.5],
    [8, 3, 'byzantine', 0.6],
    [9, 4, 'byzantine', 0.4],
    [10, 4, 'byzantine', 0.3],
    [11, 5, 'crash', 0.3],
    [12, 4, 'byzantine', 0.2],
    [13, 5, 'byzantine', 0.2],
    [13, 5, 'crash', 0.2],
    [16, 6, 'byzantine', 0.3],
    [20, 7, 'byzantine', 0.3],
    [31, 11, 'byzantine', 0.3],
    [64, 22, 'byzantine', 0.06],
  ];

/** The options of a run: those in `fixed`, and the others as the seed draws them. */
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
  const tooMany = faultModel === 'byzantine' && threshold - 1 > faults && random() < 0.15;
  const dying = !tooMany && peers - faults - 1 >= threshold && random() < 0.05;
  const bad = tooMany
    ? between(faults + 1, threshold - 1)
    : faultModel === 'byzantine' && !dying
      ? between(0, Math.min(faults, threshold - 1))
      : 0;
  const restores = bad > 0 && !tooMany && random() < 0.25 ? 1 : 0;
  const drawn: RunOptions = {
    seed,
    peers,
    threshold,
    faultModel,
    liars: bad - restores,
    restores,
    lies: lieNames,
    alliance: null,
    liesLast: random() < 0.5,
    crashes: random() < 0.3 ? 0 : between(1, 6),
    partitions: random() < 0.5 ? 0 : between(1, 3),
    lossRate: sometimes(0.6, 0.2),
    duplicateRate: sometimes(0.5, 0.1),
    reorderRate: sometimes(0.5, 0.2),
    delayMsMax: between(5, 60),
    workerDeaths: [0, 0, 0, 0.1, 0.3, 0.6][seed % 6] as number,
    orders: random() < 0.5 ? 0 : between(1, 3),
    jointKeys: seed % 3 === 0,
    gate: random() < 0.75 ? 0 : random() * 0.8,
    dead: 0,
    deadInMidChange: false,
    dying,
    absentEpochsMax: 100,
    sleepers: 0,
    reinstates: false,
    rests: seed % 5 === 0,
    files: random() < 0.25,
    safetyMs: between(3, 10) * 500,
    livenessMs: tooMany ? 5_000 : 120_000,
    ...(peers > 20 ? brief : {}),
  };
  const given = { ...drawn, ...fixed };
  const together = given.liars > 1 && fixed.lies === undefined && random() < 0.25;
  const mortal = faultModel === 'crash' && !dying && given.orders === 0 && random() < 0.4;
  const dead = mortal ? between(0, faults) : 0;
  return {
    ...given,
    alliance: together ? (allianceNames[between(0, allianceNames.length - 1)] ?? null) : null,
    dead,
    ...absences(given, faults - given.liars - given.restores - dead),
    ...fixed,
  };
}

/**
 * Draws which members are suspended or sleep, and whether they get their places again. It has its own random
 * numbers, so that the other options of a seed do not depend on it.
 */
function absences({ seed, peers, liars, dying, lies }: RunOptions, spare: number): Partial<RunOptions> {
  const random = seededRandom(seed * 6007 + 3);
  const asleep = random() < 0.12 && spare > 0 && !dying && peers <= 13;
  const suspended = random() < 0.12 && liars > 0 && lies === lieNames;
  const other = lies[Math.floor(random() * lies.length)] as string;
  return {
    ...(asleep
      ? { absentEpochsMax: 2, sleepers: random() < 0.7 ? 1 : Math.min(2, spare), safetyMs: 1_500 }
      : {}),
    ...(suspended ? { lies: ['two-attends', other] } : {}),
    reinstates: !dying && random() < 0.8,
  };
}
