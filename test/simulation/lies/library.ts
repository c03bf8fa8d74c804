/** Every lie by its name. */
import { agreementLies } from './agreement.ts';
import { dealingLies } from './dealings.ts';
import { floodLies } from './floods.ts';
import type { Lie } from './liar.ts';
import { recoveryLies } from './recovery.ts';

export const lies = { ...dealingLies, ...agreementLies, ...recoveryLies, ...floodLies } satisfies Record<
  string,
  Lie
>;
export type LieName = keyof typeof lies;
export const lieNames = Object.keys(lies) as LieName[];
