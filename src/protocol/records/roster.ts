/** Members, and the numbers of §1: `faults`, `quorum`, and how many must hold every accepted dealing. */

import { z } from 'zod';
import { shape } from './codec.ts';
import type { FaultModel } from './genesis.ts';
import { present } from './present.ts';

export const memberSchema = z.strictObject({
  index: shape.index,
  name: shape.name,
  peer: shape.peer,
  /** Ed25519 key for everything this member says until the next change that it attends. */
  epochKey: shape.key32,
  /** The epoch that gave it this key: of its last counted Attend, or of its admission. */
  keyEpoch: shape.epoch,
});
export type Member = z.infer<typeof memberSchema>;

export function faultsOf(n: number, k: number, model: FaultModel): number {
  return model === 'byzantine'
    ? Math.max(0, Math.min(Math.floor((n - 1) / 3), Math.floor((n - k) / 2)))
    : Math.max(0, Math.min(Math.floor((n - 1) / 2), n - k));
}

export const quorumOf = (n: number, k: number, model: FaultModel): number => n - faultsOf(n, k, model);

/**
 * How many members of both rosters must show Haves that list every accepted dealing: the new `k` plus `m`, the smaller
 * of the old and the new `faults` (0 under the crash model), so that `k` honest ones hold them (§4.3).
 */
export function holdersNeeded(
  old: { n: number; k: number },
  next: { n: number; k: number },
  model: FaultModel,
): number {
  const m = model === 'crash' ? 0 : Math.min(faultsOf(old.n, old.k, model), faultsOf(next.n, next.k, model));
  return next.k + m;
}

/**
 * A member that has not attended for more than `absentEpochsMax` changes is served only after reinstatement (§5
 * "Sleepers"). `epoch`: the newest one.
 */
export const sleeps = ({ keyEpoch }: Member, epoch: number, absentEpochsMax: number): boolean =>
  epoch - keyEpoch > absentEpochsMax;

export const memberAt = (roster: readonly Member[], index: number): Member | undefined =>
  roster.find((member) => member.index === index);

/** The leader of a round: member `(E + ρ) mod n` of the roster in order of index (§4.3). */
export function leaderOf(roster: readonly Member[], epoch: number, round: number): Member {
  return present(roster[(epoch + round) % roster.length], 'a leader');
}

/** As many liars as are in every two quorums: in the crash model nobody honest need be among those. */
function splittersOf(n: number, faults: number): string {
  const liars = n - 2 * faults;
  return liars === 1 ? '1 lying peer' : `${liars} that lie together`;
}

/** What a choice of `n` and `k` means, in one sentence that the tools print. */
export function explainChoice(n: number, k: number, model: FaultModel): string {
  const faults = faultsOf(n, k, model);
  const refresh =
    faults === 0
      ? `a refresh needs all ${n}`
      : model === 'byzantine'
        ? `a refresh survives ${faults} silent or lying of ${n}`
        : `a refresh survives ${faults} silent of ${n}, but no liar: ${splittersOf(n, faults)} could split the group (fault model crash)`;
  return `${k}-of-${n}: signing survives ${n - k} dead ${n - k === 1 ? 'peer' : 'peers'}; ${refresh}`;
}
