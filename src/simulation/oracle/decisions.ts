/**
 * Checks statements 1, 3, 5 and 7 at every new value. One certificate is for one epoch. Enough dealings are
 * in it; they are for its plan and in no other value. The values before it are named. Its orders are carried
 * out whole.
 */
import type { CoreState } from '../../protocol/machine/state.ts';
import { dealingPublicSchema } from '../../protocol/records/change-messages.ts';
import { decode, hex, sameBytes } from '../../protocol/records/codec.ts';
import { type Link, precommitBody } from '../../protocol/records/link.ts';
import { forcedEvictionIn } from '../../protocol/records/order.ts';
import { verifyPacket } from '../../protocol/records/packet.ts';
import { hashOfValue, operatorDealer, type Value } from '../../protocol/records/value.ts';
import type { Peer } from '../world/world.ts';
import { Watcher } from './facts.ts';
import { checkEnoughHolders } from './holders.ts';
import { ableAfter, unexplained } from './orders-done.ts';

export class Decisions extends Watcher {
  /** The epoch in which each accepted dealing was used, by the digest of the dealing. */
  readonly #acceptedIn = new Map<string, number>();

  /** Called after every step that changed the links of a peer. */
  check(peer: Peer, state: CoreState): void {
    for (const [name, link] of Object.entries(state.durable.links)) {
      const epoch = Number(name);
      const hash = hex(hashOfValue(link.value));
      const known = this.facts.values.get(epoch);
      if (known === undefined) {
        this.facts.values.set(epoch, { hash, link, by: peer.name });
        this.facts.latest = Math.max(this.facts.latest, epoch);
        if (epoch > 1) this.#checkNewValue(peer, state, link);
        checkEnoughHolders(this.facts, `when epoch ${epoch} was decided`);
      } else if (known.hash !== hash)
        this.facts.fail(
          '1',
          `${known.by} and ${peer.name} hold certificates of different values for epoch ${epoch}`,
        );
    }
  }

  /** Checks certificate, number of dealers and freshness of dealings, by the oracle's own formulas. */
  #checkNewValue(peer: Peer, state: CoreState, { value, certificate }: Link): void {
    const parent = this.facts.valueAt(value.epoch - 1);
    if (parent === undefined || certificate.type !== 'precommits')
      return this.facts.fail('1', `${peer.name} took up epoch ${value.epoch} out of order`);
    const voted = new Set<number>();
    const remaining = certificate.forced ? (forcedEvictionIn(certificate.forced)?.remaining ?? null) : null;
    const deciders = parent.roster.filter(({ index }) => remaining?.includes(index) ?? true);
    for (const { by, signature } of certificate.votes) {
      const { forced, round } = certificate;
      const body = precommitBody(by, value.epoch, round, hashOfValue(value), forced ? value.plan : null);
      const member = deciders.find(({ index }) => index === by);
      if (member && verifyPacket(this.facts.clusterId, member.epochKey, { body, signature })) voted.add(by);
    }
    if (voted.size < this.facts.quorumOf({ roster: deciders, threshold: parent.threshold }))
      this.facts.fail('1', `${peer.name} took up epoch ${value.epoch} on ${voted.size} votes`);
    this.#checkAncestry(value, parent);
    this.#checkOrders(value, parent);
    const dealers = new Set(
      value.accepted.map(({ dealer }) => dealer).filter((dealer) => dealer !== operatorDealer),
    );
    if (dealers.size < value.threshold)
      this.facts.fail(
        '3',
        `epoch ${value.epoch} rests on ${dealers.size} dealers; t of them may be known to an intruder`,
      );
    for (const { digest, dealer } of value.accepted) {
      const name = hex(digest);
      if (this.#acceptedIn.has(name))
        this.facts.fail(
          '3',
          `a dealing of ${dealer} is used in epochs ${this.#acceptedIn.get(name)} and ${value.epoch}`,
        );
      this.#acceptedIn.set(name, value.epoch);
      const half = state.durable.publics[name];
      if (half === undefined) continue;
      const { epoch, plan } = decode(dealingPublicSchema, half.bytes);
      if (epoch !== value.epoch || !sameBytes(plan, value.plan))
        this.facts.fail('3', `epoch ${value.epoch} accepts a dealing that ${dealer} made for another plan`);
    }
  }

  /**
   * Checks that each order was carried out whole, that nothing else changed, and that enough members may
   * attend the next change.
   */
  #checkOrders(value: Value, parent: Value): void {
    const orders = this.facts.plans.get(hex(value.plan));
    if (orders === undefined) return;
    const wrong = unexplained(parent, orders, value);
    if (wrong !== null) this.facts.fail('7', `epoch ${value.epoch} ${wrong}`);
    const able = ableAfter(parent, value, this.facts.world.genesis.absentEpochsMax);
    if (orders.length > 0 && able < this.facts.quorumOf(value))
      this.facts.fail(
        '5',
        `orders left epoch ${value.epoch} with ${able} of ${value.roster.length} that may attend`,
      );
  }

  /**
   * Checks that the value names the values before it. Its orders must be new, and signed on one of these
   * values.
   */
  #checkAncestry(value: Value, parent: Value): void {
    const { epoch, ancestors } = value;
    const isAt = (hash: Uint8Array, at: number) => this.facts.values.get(at)?.hash === hex(hash);
    if (ancestors.length !== Math.min(epoch, 100) || !ancestors.every((hash, i) => isAt(hash, epoch - 1 - i)))
      this.facts.fail('7', `the value of epoch ${epoch} names other values than came before it`);
    for (const { body } of this.facts.plans.get(hex(value.plan)) ?? []) {
      if (!isAt(body.ancestor, body.ancestorEpoch) || body.ancestorEpoch >= epoch)
        this.facts.fail('7', `epoch ${epoch} carries out an order that was signed on another branch`);
      if (body.sequence <= parent.lastOrder || body.sequence > value.lastOrder)
        this.facts.fail('7', `epoch ${epoch} carries out order ${body.sequence} out of turn`);
    }
  }
}
