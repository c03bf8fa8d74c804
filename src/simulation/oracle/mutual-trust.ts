/**
 * At rest trust is mutual: while all honest members are at one value, whichever two of them are connected
 * have proven to each other the epoch keys that it lists (§4, §9). Whoever adopts last succeeds; were it not
 * so, nobody would ask again before the next change.
 */
import type { Peer } from '../world/world.ts';

/** How often to look. */
export const lookEveryMs = 100;
/** Longer than any handshake takes here, and short enough that the group is at rest for as long between two changes. */
const patienceMs = 300;

export class MutualTrust {
  /** Since when the pairs that are connected and do not trust each other have been so, all at one value. */
  #since = new Map<string, number>();

  /** @returns what is wrong, if anything is */
  look(nowMs: number, honest: readonly Peer[]): string | null {
    const before = this.#since;
    this.#since = new Map();
    const [head, ...others] = new Set(honest.map(({ driver }) => driver?.state.durable.own.head));
    if (head === undefined || others.length > 0) return null;
    for (const one of honest)
      for (const other of honest) {
        if (one.driver === null || one.driver.state.volatile.authenticated[other.peer]) continue;
        if (!one.driver.state.volatile.connected[other.peer]) continue;
        const name = `${one.name}/${one.starts} ${other.name}/${other.starts} ${head}`;
        const since = before.get(name) ?? nowMs;
        if (nowMs - since >= patienceMs)
          return `${one.name} is connected to ${other.name} and does not trust it, though all are at epoch ${head}`;
        this.#since.set(name, since);
      }
    return null;
  }
}
