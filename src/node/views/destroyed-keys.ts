/** Who may still hold a share of a destroyed key: members that have not shown themselves since (protocol §4.5). */
import { headOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';

interface HeldKey {
  name: string;
  /** The epoch that destroyed it. */
  epoch: number;
  /** Names, in the roster's order. */
  members: string[];
}

/**
 * A member is through with older shares when it is ready in the newest epoch, or attended a later change than the
 * destruction, which shows as a new epoch key: nobody attends before it has erased everything older.
 */
export function destroyedKeysHeld(state: CoreState): HeldKey[] {
  const { destroyed, readys } = state.durable;
  const head = headOf(state);
  return Object.values(destroyed).flatMap(({ name, epoch, holders }) => {
    const members = head.roster
      .filter(
        ({ index, peer, keyEpoch }) =>
          holders.includes(peer) && keyEpoch <= epoch && readys[index] === undefined,
      )
      .map((member) => member.name);
    return members.length === 0 ? [] : [{ name, epoch, members }];
  });
}
