/** Every lie by its name. */
import { agreementLies } from './agreement.ts';
import { certificateLies } from './certificates.ts';
import { dealingLies } from './dealings.ts';
import { floodLies } from './floods.ts';
import type { Lie } from './liar.ts';
import { orderLies } from './orders.ts';
import { recoveryLies } from './recovery.ts';

const lies = {
  ...dealingLies,
  ...agreementLies,
  ...certificateLies,
  ...recoveryLies,
  ...floodLies,
  ...orderLies,
} satisfies Record<string, Lie>;
export type LieName = keyof typeof lies;
export const lieNames = Object.keys(lies) as LieName[];

/** Throws for a name that no lie has. */
export function lieNamed(name: string): Lie {
  const lie = new Map<string, Lie>(Object.entries(lies)).get(name);
  if (lie === undefined) throw new RangeError(`there is no lie ${name}; there are: ${lieNames.join(', ')}`);
  return lie;
}

/**
 * Lies that liars tell together. Each liar of an alliance tells all its lies, to the same half of the
 * members.
 */
const alliances = {
  'errors that cancel': ['errors-that-cancel'],
  'two values': ['two-proposals', 'votes-for-both', 'two-votes'],
  'a value proposed again': ['false-valid-round', 'withheld-votes'],
  'a suspended member counts': ['two-attends', 'too-few-attends'],
  'dealings that nobody holds': ['withheld-dealing', 'false-have', 'dealings-that-nobody-holds'],
  'gaps on either side': ['a-gap-on-either-side', 'a-gap-among-masks'],
  'two masks, two choices': ['two-choices', 'two-masks'],
  'one key': ['grants-with-one-key', 'no-accept'],
  'no sums': ['no-sum', 'false-sum', 'masks-for-some'],
  'nothing is ready': ['false-trial', 'retire-proof-that-never-signed', 'no-proposal'],
  'others are to blame': ['dealings-in-others-names', 'masks-in-others-names', 'false-accusations'],
} as const satisfies Record<string, readonly LieName[]>;
type AllianceName = keyof typeof alliances;
export const allianceNames = Object.keys(alliances) as AllianceName[];

/** The lies of an alliance. Throws for a name that no alliance has. */
export function allianceNamed(name: string): readonly string[] {
  const together = new Map<string, readonly string[]>(Object.entries(alliances)).get(name);
  if (together === undefined)
    throw new RangeError(`there is no alliance ${name}; there are: ${allianceNames.join(', ')}`);
  return together;
}
