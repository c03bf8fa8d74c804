/** One run of a group in which liars send the longest messages of every kind. Nothing else goes wrong. */
import { optionsOf } from './options.ts';
import { type RunResult, simulate } from './run.ts';

/** The safety phase of such a run lasts `safetyMs` milliseconds of virtual time. */
export const flooded = (
  peers: number,
  threshold: number,
  liars: number,
  safetyMs: number,
): Promise<RunResult> =>
  simulate(
    optionsOf(1, {
      ...{ peers, threshold, faultModel: 'byzantine', liars, liesLast: true, safetyMs, livenessMs: 60_000 },
      ...{ lies: ['the-longest-of-everything'], alliance: null, restores: 0, crashes: 0, partitions: 0 },
      ...{
        lossRate: 0,
        duplicateRate: 0,
        reorderRate: 0,
        orders: 0,
        gate: 0,
        dead: 0,
        dying: false,
        files: false,
      },
    }),
  );
