/** One thread of `many.ts`: it gets seeds, and gives reports. */
import { optionsOf } from './options.ts';
import { type RunReport, reportOf, simulate } from './run.ts';
import type { RunOptions } from './world/run-options.ts';

export default async ({ seed, fixed }: { seed: number; fixed: Partial<RunOptions> }): Promise<RunReport> =>
  reportOf(await simulate(optionsOf(seed, fixed)));
