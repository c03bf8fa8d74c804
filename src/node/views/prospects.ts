/**
 * What a group of members can do together (protocol §1, §4, §5), from what each of them can do: use a key,
 * give shares back, complete a refresh or another change; and how many members it can spare in each.
 */
import type { FaultModel } from '../../protocol/records/genesis.ts';
import { quorumOf } from '../../protocol/records/roster.ts';
import { both } from './ability.ts';
import type { Ability, Certainty, Prospect, Prospects } from './view.ts';

type Skill = keyof Ability['can'];

export const whoCan = (members: readonly Ability[], skill: Skill): Ability[] =>
  members.filter(({ can }) => can[skill] === 'yes');

export function prospect(members: readonly Ability[], skill: Skill, needed: number): Prospect {
  const able = whoCan(members, skill).length;
  const unknown = members.filter(({ can }) => can[skill] === 'unknown').length;
  const can: Certainty = able >= needed ? 'yes' : able + unknown < needed ? 'no' : 'unknown';
  return { can, able, unknown, needed, spare: able - needed };
}

/** What decides how many are needed. `keys`: where there is none yet, nobody lacks a share. */
export interface Choice {
  threshold: number;
  faultModel: FaultModel;
  keys: number;
}

/**
 * A refresh needs a quorum that attends, and `k` that hold their shares: those give theirs to whoever attends without
 * (§5), also in mid-change, so that enough can deal and hold every dealing.
 */
export function prospectsOf(
  members: readonly Ability[],
  { threshold, faultModel, keys }: Choice,
  /** Who decides, where a forced eviction runs. */
  electors = members,
): Prospects {
  const sign = prospect(members, 'sign', threshold);
  const recover = prospect(electors, 'help', threshold);
  const attend = prospect(electors, 'attend', quorumOf(electors.length, threshold, faultModel));
  const can = keys === 0 ? attend.can : both(attend.can, recover.can);
  return { sign, recover, refresh: { ...attend, can } };
}
