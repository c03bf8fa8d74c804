/** One run of a large group in which all liars have a few gaps each, far apart. */
import { optionsOf } from './options.ts';
import { type RunResult, simulate } from './run.ts';

/**
 * `liars` of `peers` members leave one honest member out of what they deal and one out of what they list,
 * masks too.
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
