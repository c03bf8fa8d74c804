/** A group in one process, and what its operator does with it: keys, members that come and go, refreshes. */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { DealtKey } from '../../keys/kind.ts';
import type { Driver } from '../../node/driver/driver.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import type { Action, Order } from '../../protocol/records/order.ts';
import type { GroupOptions } from './group-options.ts';
import { NewKey, smallKey } from './new-key.ts';
import { admittedState } from './newcomer.ts';
import { Nodes } from './nodes.ts';
import { orderOn } from './paper.ts';
import { samplePrimes } from './sample-keys.ts';

export class Group extends Nodes {
  /** By key name: what the dealer of a new key signs with. */
  readonly dealingSeeds = new Map<string, Uint8Array>();

  async refresh(by = 1): Promise<number> {
    const { driver } = this.node(by);
    const next = (driver as Driver).state.durable.own.head + 1;
    driver?.refresh();
    await this.until(() => this.settledAt(next), 120_000, `epoch ${next}`);
    return next;
  }

  /**
   * Admits a new peer by an order handed to peer `by` and starts it as its lobby would; returns its place in
   * `nodes`.
   */
  join(by: number): Promise<number> {
    const name = `p${this.nodes.length + 1}`;
    return this.#takeIn(by, name, (newcomer) => ({ type: 'admit', name, ...newcomer }));
  }

  /** Gives the member at `place` its index again, with a new home, by an order handed to peer `by`; its new place. */
  reinstate(by: number, place: number): Promise<number> {
    const { peer, name } = this.node(place);
    const index = headOf(this.state(by)).roster.find((member) => member.peer === peer)?.index as number;
    return this.#takeIn(by, name, (newcomer) => ({ type: 'reinstate', index, ...newcomer }));
  }

  async #takeIn(
    by: number,
    name: string,
    action: (newcomer: { peer: string; epochKey: Uint8Array }) => Action,
  ): Promise<number> {
    const place = this.nodes.length + 1;
    const seed = this.random(32);
    const { publicKey } = ed25519FromSeed(seed);
    const peer = `peer-${String(place).padStart(4, '0')}`;
    const next = this.epochOf(by) + 1;
    await this.order(by, action({ peer, epochKey: publicKey }));
    await this.until(() => this.epochOf(by) >= next, 120_000, `the admission of ${name}`);
    const wallMs = this.time.clock().wallMs();
    const durable = await admittedState(this.node(by).driver as Driver, { peer, seed }, wallMs);
    if (durable === null) throw new Error(`${name} is not admitted`);
    await this.add(name, peer, durable);
    await this.until(() => this.settledAt(this.epochOf(by)), 120_000, `the share of ${name}`);
    return place;
  }

  /** Evicts the peer at `place` in `nodes` by an order handed to peer `by`; it goes on running until it is stopped. */
  async evict(by: number, place: number): Promise<void> {
    const index = headOf(this.state(by)).roster.find((member) => member.peer === this.node(place).peer)
      ?.index as number;
    const next = this.epochOf(by) + 1;
    await this.order(by, { type: 'evict', index });
    await this.until(() => this.epochOf(by) >= next, 120_000, `the eviction of p${place}`);
  }

  /** Signs an order on the newest value that the peer knows and hands it to that peer. */
  async order(by: number, ...actions: Action[]): Promise<Order> {
    const order = orderOn(this, headOf(this.state(by)), actions);
    await this.node(by).driver?.submitOrder(order);
    return order;
  }

  /** A new key of 512 bits, shared by the present threshold. */
  newKey(name: string, by: number, primes: { p: bigint; q: bigint }): NewKey {
    const { threshold } = headOf(this.state(by));
    return this.newKeyOf(name, smallKey(this.genesis, threshold, primes, this.random));
  }

  /** A key of any kind that its dealer has made. */
  newKeyOf(name: string, dealt: DealtKey): NewKey {
    const { genesis, random } = this;
    const dealingSeed = random(32);
    this.dealingSeeds.set(name, dealingSeed);
    return new NewKey({ name, use: 'sign', dealt, dealingSeed, genesis, random });
  }

  /** Creates a key of 512 bits as the operator's command does: an order, then its dealing to everyone who attends. */
  async createKey(
    name = 'key',
    by = 1,
    primes = samplePrimes(512, 2 * headOf(this.state(by)).keys.length),
  ): Promise<void> {
    await this.giveKey(name, by, this.newKey(name, by, primes));
  }

  /** Orders a new key through the member `by`, and deals it until the group has it. */
  async giveKey(name: string, by: number, key: NewKey): Promise<void> {
    const next = this.epochOf(by) + 1;
    const order = await this.order(by, key.action);
    const { driver } = this.node(by);
    const serve = () => {
      if (this.epochOf(by) >= next) return;
      for (const packets of key.due(order, this.node(by).name, this.state(by)))
        if (packets.length > 0) void this.node(by).driver?.submitDealings(packets);
    };
    const undo = driver?.onChange(serve);
    serve();
    await this.until(() => this.settledAt(next), 120_000, `the creation of ${name}`);
    undo?.();
  }
}

/** A founded and started group with one key. */
export async function groupWithKey(options: GroupOptions): Promise<Group> {
  const group = new Group(options);
  await group.start();
  await group.createKey();
  return group;
}
