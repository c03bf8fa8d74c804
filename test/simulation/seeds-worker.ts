/** One thread of many runs: a seed comes in, what became of it goes out. */
import { optionsOf, type RunOptions } from './options.ts';
import { type RunReport, reportOf, simulate } from './run.ts';

export default async ({ seed, fixed }: { seed: number; fixed: Partial<RunOptions> }): Promise<RunReport> =>
  reportOf(await simulate(optionsOf(seed, fixed)));
