/** The form of a sabotage, and options of runs that many sabotages share. */
import type { RunOptions } from '../world/run-options.ts';

/** One change of a source file. `rule` must stand in it exactly once, and `broken` takes its place. */
export interface Break {
  /** The path below `src/`. */
  file: string;
  rule: string;
  broken: string;
}

/** One rule that is broken on purpose. */
export interface Sabotage extends Break {
  /** The fault of the sabotaged code. */
  name: string;
  /** A second place that keeps the same rule. */
  also?: Break;
  /** Options of runs that catch the sabotage soonest. */
  options: Partial<Omit<RunOptions, 'seed'>>;
  /** The statements of protocol §7 that may fail first. */
  statements: readonly string[];
  /** The sabotage must be caught within this many seeds. */
  seedsMax: number;
}

export const small = {
  peers: 4,
  threshold: 2,
  faultModel: 'byzantine',
  files: false,
  restores: 0,
  gate: 0,
  dying: false,
} as const;
export const calm = { ...small, crashes: 0, partitions: 0, liars: 0 } as const;
export const lying = { ...small, crashes: 0, partitions: 0, lossRate: 0, liars: 1, liesLast: true } as const;
export const recovering = { ...lying, crashes: 6, orders: 0, safetyMs: 6_000 } as const;
export const unsettled = {
  ...lying,
  crashes: 3,
  partitions: 3,
  lossRate: 0.3,
  safetyMs: 8_000,
  livenessMs: 30_000,
} as const;
export const seven = { ...lying, peers: 7, threshold: 3, liars: 2 } as const;
/** Members restart all the time, and a liar lies about what they said before. */
export const forgetful = { ...seven, liars: 1, crashes: 6, safetyMs: 6_000, livenessMs: 15_000 } as const;
