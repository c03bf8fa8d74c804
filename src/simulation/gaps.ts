/** One run of a large group in which each liar has a few gaps, far apart. */
import { optionsOf } from './options.ts';
import { type RunResult, simulate } from './run.ts';

/**
 * `liars` of `peers` members lie. Each leaves one honest member out of its dealings and another one out of
 * its lists. It does the same with masks.
 */
export const gapsIn = (peers: number, threshold: number, liars: number): Promise<RunResult> =>
  simulate(
    optionsOf(1, {
      ...{ peers, threshold, liars, faultModel: 'byzantine', liesLast: true },
      lies: ['a-gap-on-either-side', 'a-gap-among-masks'],
      ...{
        crashes: 0,
        partitions: 0,
        restores: 0,
        orders: 0,
        lossRate: 0,
        gate: 0,
        dying: false,
        files: false,
      },
      safetyMs: 500,
    }),
  );
