/**
 * Computes the abilities of a group from those of its members (protocol §1, §4, §5): to use a key, to give
 * shares back, and to complete a refresh or another change. It also computes how many members the group can
 * spare for each.
 */
import type { FaultModel } from '../../protocol/records/genesis.ts';
import { quorumOf } from '../../protocol/records/roster.ts';
import { both } from './ability.ts';
import type { Ability, Certainty, Prospect, Prospects } from './view.ts';

type Skill = keyof Ability['can'];

/** The members that can certainly do one thing. */
export const whoCan = (members: readonly Ability[], skill: Skill): Ability[] =>
  members.filter(({ can }) => can[skill] === 'yes');

/** The ability of a group to do one thing, for which `needed` members must be able. */
export function prospect(members: readonly Ability[], skill: Skill, needed: number): Prospect {
  const able = whoCan(members, skill).length;
  const unknown = members.filter(({ can }) => can[skill] === 'unknown').length;
  const can: Certainty = able >= needed ? 'yes' : able + unknown < needed ? 'no' : 'unknown';
  return { can, able, unknown, needed, spare: able - needed };
}

/**
 * The numbers that decide how many members are needed. `keys` is the number of keys: without a key no member
 * lacks a share.
 */
export interface Choice {
  threshold: number;
  faultModel: FaultModel;
  keys: number;
}

/**
 * The abilities of the group. A refresh needs a quorum that attends, and `k` members that hold their shares.
 * These give shares to members that attend without one (§5), also in the middle of a change. So enough
 * members can deal, and enough hold every dealing.
 */
export function prospectsOf(
  members: readonly Ability[],
  { threshold, faultModel, keys }: Choice,
  /** The members that decide while a forced eviction runs. */
  electors = members,
): Prospects {
  const sign = prospect(members, 'sign', threshold);
  const recover = prospect(electors, 'help', threshold);
  const attend = prospect(electors, 'attend', quorumOf(electors.length, threshold, faultModel));
  const can = keys === 0 ? attend.can : both(attend.can, recover.can);
  return { sign, recover, refresh: { ...attend, can } };
}
