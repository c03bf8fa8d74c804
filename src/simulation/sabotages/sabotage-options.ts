/** What a sabotage is, and the runs that bring most of them out. */
import type { RunOptions } from '../world/run-options.ts';

export interface Break {
  /** Below `src/`. */
  file: string;
  rule: string;
  broken: string;
}

export interface Sabotage extends Break {
  /** What the code does now that it must not. */
  name: string;
  /** Where the same rule is kept once more. */
  also?: Break;
  /** What brings it out soonest. */
  options: Partial<Omit<RunOptions, 'seed'>>;
  /** The statements of protocol §7 that may fall first. */
  statements: readonly string[];
  /** Seeds within which it must be caught. */
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
/** Members start again all the time, and another one lies about what they said before. */
export const forgetful = { ...seven, liars: 1, crashes: 6, safetyMs: 6_000, livenessMs: 15_000 } as const;
