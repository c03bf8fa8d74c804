/** Statement 5: whether all honest members have come to one epoch and hold their shares of it. */
import { holdsShare } from '../../protocol/machine/queries.ts';
import type { World } from '../world/world.ts';
import type { Facts } from './facts.ts';

/**
 * Why the group is not finished. Null when every honest member has the same epoch, `from` or a later one, and
 * its share. A peer whose store went back in time does not count: it may have lost the secret of its listed
 * epoch key, and then only reinstatement helps (§4, §5).
 */
export function unfinished(facts: Facts, from: number): string | null {
  const { newest } = facts;
  const epochs = new Set<number>();
  for (const peer of facts.world.peers) {
    if (peer.faulty !== null || !newest?.roster.some((member) => member.peer === peer.peer)) continue;
    if (peer.driver === null) return `${peer.name} is down`;
    const { state } = peer.driver;
    const { head, retired } = state.durable.own;
    epochs.add(head);
    if (head < from) return `${peer.name} is at epoch ${head}, not yet at ${from}`;
    if (retired < head) return `${peer.name} has not retired what is older than epoch ${head}`;
    if (!holdsShare(state)) return `${peer.name} has no share of epoch ${head}`;
  }
  return epochs.size > 1 ? `honest peers are at epochs ${[...epochs].join(', ')}` : null;
}

/** Whether an honest member attends the next change already. */
export function isUnderWay(world: World): boolean {
  return world.peers.some(
    ({ faulty, driver }) =>
      faulty === null && driver !== null && Object.keys(driver.state.durable.attends).length > 0,
  );
}
