/**
 * The chain of values as a client knows it: checked from the pinned genesis on (at a later joiner, whose chain
 * is shorter: from the value that the operators named when they admitted it), with the newest value ever seen
 * kept. The daemon is not trusted: it cannot show a chain that the group did not certify, nor an older one than
 * was seen before (protocol §4 "Creation").
 */
import { sameBytes } from '../protocol/records/codec.ts';
import { checkFounding, checkLink, type Link } from '../protocol/records/link.ts';
import { hashOfOrder, type Order, operatorsAgree } from '../protocol/records/order.ts';
import { hashOfValue, type Value } from '../protocol/records/value.ts';
import type { ApiClient } from './api-client.ts';
import { ClientError } from './client-error.ts';
import type { KnownGroup } from './known-group.ts';

export class VerifiedChain {
  readonly #known: KnownGroup;
  readonly #daemon: ApiClient;
  #newest: Link | null;

  constructor(known: KnownGroup, daemon: ApiClient) {
    this.#known = known;
    this.#daemon = daemon;
    this.#newest = known.seen();
  }

  /** The newest value ever seen, without asking the daemon; null before the first. */
  get seen(): Value | null {
    return this.#newest?.value ?? null;
  }

  /**
   * The newest certified value that the daemon shows. Throws `ClientError('not-to-be-trusted')` when its
   * chain is older than, or another than, the one seen before, and `ProtocolError` when a link is not
   * certified.
   */
  async head(): Promise<Value> {
    const admission = this.#newest === null ? this.#admission() : null;
    for (let more = true; more; ) {
      const before = this.#newest;
      const from = before?.value.epoch ?? admission?.body.ancestorEpoch ?? 0;
      this.#extend(await this.#daemon.links(from), admission);
      more = this.#newest !== before;
    }
    if (this.#newest === null) throw new ClientError('not-founded', 'the cluster is not founded yet');
    return this.#newest.value;
  }

  /** The order that admitted this peer, signed by the operators of the genesis; null for a founder. */
  #admission(): Order | null {
    const { genesis, cluster } = this.#known;
    const admission = this.#known.admission();
    if (admission === null) return null;
    const { order, source } = admission;
    if (
      !sameBytes(order.body.cluster, cluster) ||
      !operatorsAgree(genesis, order.signatures, hashOfOrder(order))
    )
      throw new ClientError('not-to-be-trusted', `${source} is not signed by the operators of this cluster`);
    return order;
  }

  #extend(links: readonly Link[], admission: Order | null): void {
    const { genesis, cluster } = this.#known;
    let newest = this.#newest;
    const rest = [...links];
    const first = rest.shift();
    if (newest === null) {
      if (first === undefined) return;
      if (admission === null) checkFounding(genesis, first);
      else if (!sameBytes(hashOfValue(first.value), admission.body.ancestor))
        throw new ClientError(
          'not-to-be-trusted',
          'this daemon’s chain does not begin with the value that the admission names; do not trust it',
        );
      newest = first;
    } else if (first === undefined || !sameBytes(hashOfValue(first.value), hashOfValue(newest.value))) {
      throw new ClientError(
        'not-to-be-trusted',
        `this daemon does not show epoch ${newest.value.epoch}, which was seen before; if it is not just catching up, do not trust it`,
      );
    }
    for (const link of rest) {
      checkLink(genesis, cluster, newest.value, link);
      newest = link;
    }
    if (newest === this.#newest) return;
    this.#newest = newest;
    // Another process may have seen a newer value meanwhile: that one stays.
    const kept = this.#known.seen();
    if (kept === null || kept.value.epoch < newest.value.epoch) this.#known.keep(newest);
  }
}
