/**
 * At rest trust is mutual. While all honest members are at one value, any two connected ones have proven to
 * each other the epoch keys that the value lists (§4, §9). The member that adopts the value last must succeed
 * too. Otherwise nobody would ask again before the next change.
 */
import type { Peer } from '../world/world.ts';

/** How often the pairs are checked, in milliseconds of virtual time. */
export const lookEveryMs = 100;
/** This is longer than any handshake takes here. It is shorter than the rest between two changes. */
const patienceMs = 300;

/** Remembers which connected pairs do not trust each other. */
export class MutualTrust {
  /** For each such pair, the time since when it is so while all are at one value. */
  #since = new Map<string, number>();

  /** @returns what is wrong, or null */
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
