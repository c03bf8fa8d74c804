/**
 * Finds members that may still hold a share of a destroyed key, because they were not here since (protocol
 * §4.5).
 */
import { headOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';

interface HeldKey {
  name: string;
  /** The epoch that destroyed the key. */
  epoch: number;
  /** The members' names, in the roster's order. */
  members: string[];
}

/**
 * The destroyed keys of which members may still hold shares. A member has erased older shares when it is
 * ready in the newest epoch, or when it attended a change after the destruction. A later Attend shows as a
 * new epoch key: no member attends before it has erased everything older.
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
