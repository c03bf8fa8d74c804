/** Who may still hold a share of a destroyed key: members that have not shown themselves since (protocol §4.5). */
import { sameBytes } from '../../protocol/codec.ts';
import { headOf } from '../../protocol/queries.ts';
import type { CoreState } from '../../protocol/state.ts';

export interface HeldKey {
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
  const { links, readys } = state.durable;
  const head = headOf(state);
  return Object.values(links).flatMap(({ value }) => {
    const parent = links[value.epoch - 1]?.value;
    if (parent === undefined) return [];
    const destroyed = parent.keys.filter(({ id }) => !value.keys.some((key) => sameBytes(key.id, id)));
    if (destroyed.length === 0) return [];
    const members = head.roster
      .filter(({ index, peer, keyEpoch }) => {
        const held = parent.roster.some((member) => member.peer === peer);
        return held && keyEpoch <= value.epoch && readys[index] === undefined;
      })
      .map(({ name }) => name);
    return members.length === 0 ? [] : destroyed.map(({ name }) => ({ name, epoch: value.epoch, members }));
  });
}
