/** What each remote address holds of something, so that none can take all of it. */
import { normalizeIP } from '@fastify/rate-limit';

export class Shares {
  readonly #most: number;
  readonly #held = new Map<string, number>();

  /** @param most what one address may hold; null: no bound, as on the socket, where all are its owner */
  constructor(most: number | null) {
    this.#most = most ?? Number.POSITIVE_INFINITY;
  }

  /** Null when this address has its share already; else call what is returned when it is given back, once. */
  take(address: string): (() => void) | null {
    const remote = normalizeIP(address); // of IPv6 the network: whoever has one address there has 2⁶⁴
    const held = this.#held.get(remote) ?? 0;
    if (held >= this.#most) return null;
    this.#held.set(remote, held + 1);
    return () => {
      const left = (this.#held.get(remote) ?? 1) - 1;
      if (left === 0) this.#held.delete(remote);
      else this.#held.set(remote, left);
    };
  }
}
