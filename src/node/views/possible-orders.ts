/**
 * Decides whether the group could carry out an order now, by the core's own rules. The draft must fit the
 * newest value. A quorum of the deciding members must attend. Enough members of both rosters must hold the
 * dealings.
 */

import { headOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { draftOfActions } from '../../protocol/records/draft.ts';
import type { Draft } from '../../protocol/records/draft-actions.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import type { Genesis } from '../../protocol/records/genesis.ts';
import type { Action } from '../../protocol/records/order.ts';
import { holdersNeeded, memberAt, quorumOf } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import { both } from './ability.ts';
import { type Choice, prospect, prospectsOf } from './prospects.ts';
import type { Ability, Certainty, Prospect, Prospects } from './view.ts';

/** The group in which an order would be carried out. */
export interface Scene {
  genesis: Genesis;
  clusterId: Uint8Array;
  head: Value;
  members: readonly Ability[];
  /** The members that remain after the forced eviction that runs now. Null when none runs. */
  forced: readonly number[] | null;
}

/** The chances of an order. */
interface Outlook {
  can: Certainty;
  /** Null when the order does not fit the newest value. */
  draft: Draft | null;
  /**
   * The needs of the change, each with the members that count for it. None when the order does not fit or may
   * not run.
   */
  needs: Need[];
}

/**
 * One need of a change. `decide` counts members that attend, `recover` members that give shares back, and
 * `hold` members that stay and hold the dealings.
 */
export interface Need extends Prospect {
  what: 'decide' | 'recover' | 'hold';
  of: readonly Ability[];
  lacking: readonly Ability[];
}

function need(what: Need['what'], of: readonly Ability[], needed: number): Need {
  const skill = what === 'recover' ? 'help' : 'attend';
  const lacking = of.filter(({ can }) => can[skill] !== 'yes');
  return { what, of, lacking, ...prospect(of, skill, needed) };
}

/** The chances of an order with these actions. */
export function outlookOf(scene: Scene, actions: readonly Action[]): Outlook {
  const { genesis, clusterId, head, members, forced } = scene;
  let draft: Draft;
  try {
    draft = draftOfActions(genesis, clusterId, head, actions);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { can: 'no', draft: null, needs: [] };
  }
  if (forced !== null && !narrowsTo(draft, forced)) return { can: 'no', draft, needs: [] };
  const { faultModel } = genesis;
  const remaining = draft.forced;
  const electors = members.filter(({ index }) => remaining === null || remaining.includes(index));
  const stays = ({ index }: Ability): boolean =>
    memberAt(draft.roster, index)?.peer === memberAt(head.roster, index)?.peer;
  const [old, next] = [
    { n: electors.length, k: head.threshold },
    { n: draft.roster.length, k: draft.threshold },
  ];
  const needs = [
    need('decide', electors, quorumOf(old.n, old.k, faultModel)),
    // A member that attends without a share recovers it first, from any `k` that hold theirs (§5).
    ...(head.keys.length === 0 ? [] : [need('recover', electors, head.threshold)]),
    need('hold', electors.filter(stays), holdersNeeded(old, next, faultModel)),
  ];
  return { can: needs.map(({ can }) => can).reduce(both), draft, needs };
}

const narrowsTo = (draft: Draft, forced: readonly number[]): boolean =>
  draft.forced !== null &&
  draft.forced.length < forced.length &&
  draft.forced.every((index) => forced.includes(index));

/**
 * An identity that nobody has. It serves to ask whether a member could be reinstated before its new home has
 * joined.
 */
const anybody = { peer: 'a-new-home', epochKey: new Uint8Array(32) };

export const reinstating = (index: number): Action => ({ type: 'reinstate', index, ...anybody });
export const evicting = (index: number): Action => ({ type: 'evict', index });
export const evictingByForce = ({ head }: Scene, leaving: readonly number[]): Action => ({
  type: 'force-evict',
  remaining: head.roster.map(({ index }) => index).filter((index) => !leaving.includes(index)),
});

/**
 * The members of the next value. Members that stay keep their abilities. Newcomers count as they will be with
 * their shares.
 */
function membersAfter(scene: Scene, draft: Draft): Ability[] {
  return draft.roster.map(({ index, name, peer }) => {
    const before = scene.members.find((member) => member.index === index);
    if (before !== undefined && memberAt(scene.head.roster, index)?.peer === peer) return before;
    return {
      ...{ index, name, self: false, connection: 'proven', share: 'held', ready: false, barred: null },
      can: { sign: 'yes', attend: 'yes', deal: 'yes', help: 'yes' },
    };
  });
}

/** The scene of this peer's newest state. */
export const sceneOf = (state: CoreState, members: readonly Ability[]): Scene => ({
  genesis: state.genesis,
  clusterId: state.clusterId,
  head: headOf(state),
  members,
  forced: state.durable.own.forced?.remaining ?? null,
});

const choiceIn = ({ head, genesis }: Scene): Choice => ({
  threshold: head.threshold,
  faultModel: genesis.faultModel,
  keys: head.keys.length,
});

/** The abilities of the group now. While a forced eviction runs, the remaining members decide. */
export const prospectsIn = (scene: Scene, members = scene.members): Prospects =>
  prospectsOf(
    members,
    choiceIn(scene),
    members.filter(({ index }) => scene.forced?.includes(index) ?? true),
  );

/** The abilities of the group after the change of the draft. */
export const prospectsAfter = (scene: Scene, draft: Draft): Prospects =>
  prospectsOf(membersAfter(scene, draft), {
    ...choiceIn(scene),
    threshold: draft.threshold,
    keys: draft.keys.length,
  });
