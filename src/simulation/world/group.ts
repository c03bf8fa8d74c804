/** A group in one process, with the acts of its operator: keys, members that come and go, refreshes. */
import type { DealtKey } from '../../keys/kind/shared-key.ts';
import type { Driver } from '../../node/driver/driver.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import type { Action, Order } from '../../protocol/records/order.ts';
import type { GroupOptions } from './group-options.ts';
import { NewKey, smallKey } from './new-key.ts';
import { admittedState, askedBy } from './newcomer.ts';
import { Nodes } from './nodes.ts';
import { orderOn } from './paper.ts';
import { samplePrimes } from './sample-keys.ts';

/**
 * A group whose operator acts when a test says so. Members are named by their places in `nodes`, from 1 on.
 */
export class Group extends Nodes {
  /** The seed with which the dealer of a new key signs, by the key's name. */
  readonly dealingSeeds = new Map<string, Uint8Array>();

  /** Refreshes once, and gives the new epoch. */
  async refresh(by = 1): Promise<number> {
    const { driver } = this.node(by);
    const next = (driver as Driver).state.durable.own.head + 1;
    driver?.refresh();
    await this.until(() => this.settledAt(next), 120_000, `epoch ${next}`);
    return next;
  }

  /**
   * Admits a new peer by an order through peer `by`, and starts it as its lobby would. Gives its place in
   * `nodes`.
   */
  join(by: number): Promise<number> {
    const name = `p${this.nodes.length + 1}`;
    return this.#takeIn(by, name, (newcomer) => ({ type: 'admit', name, ...newcomer }));
  }

  /** Reinstates the member at `place` with a new home, by an order through peer `by`. Gives its new place. */
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
    const newcomer = { seed: this.random(32), peer: `peer-${String(place).padStart(4, '0')}` };
    const next = this.epochOf(by) + 1;
    await this.order(by, action(askedBy(newcomer)));
    await this.until(() => this.epochOf(by) >= next, 120_000, `the admission of ${name}`);
    const wallMs = this.time.clock().wallMs();
    const durable = await admittedState(this.node(by).driver as Driver, newcomer, wallMs);
    if (durable === null) throw new Error(`${name} is not admitted`);
    await this.add(name, newcomer.peer, durable);
    await this.until(() => this.settledAt(this.epochOf(by)), 120_000, `the share of ${name}`);
    return place;
  }

  /**
   * Evicts the peer at `place` by an order through peer `by`. The evicted peer goes on running until it is
   * stopped.
   */
  async evict(by: number, place: number): Promise<void> {
    const index = headOf(this.state(by)).roster.find((member) => member.peer === this.node(place).peer)
      ?.index as number;
    const next = this.epochOf(by) + 1;
    await this.order(by, { type: 'evict', index });
    await this.until(() => this.epochOf(by) >= next, 120_000, `the eviction of p${place}`);
  }

  /** Signs an order on the newest value that peer `by` knows, and hands it in there. */
  async order(by: number, ...actions: Action[]): Promise<Order> {
    const order = orderOn(this, headOf(this.state(by)), actions);
    await this.node(by).driver?.submitOrder(order);
    return order;
  }

  /** A new RSA key of 512 bits, shared by the present threshold. */
  newKey(name: string, by: number, primes: { p: bigint; q: bigint }): NewKey {
    const { threshold } = headOf(this.state(by));
    return this.newKeyOf(name, smallKey(this.genesis, threshold, primes, this.random));
  }

  /** A new key of any kind that its dealer has made. */
  newKeyOf(name: string, dealt: DealtKey): NewKey {
    const { genesis, random } = this;
    const dealingSeed = random(32);
    this.dealingSeeds.set(name, dealingSeed);
    return new NewKey({ name, use: 'sign', dealt, dealingSeed, genesis, random });
  }

  /**
   * Creates a key of 512 bits as the operator's command does: an order, and then dealings for all members
   * that attend.
   */
  async createKey(
    name = 'key',
    by = 1,
    primes = samplePrimes(512, 2 * headOf(this.state(by)).keys.length),
  ): Promise<void> {
    await this.giveKey(name, by, this.newKey(name, by, primes));
  }

  /** Orders a new key through peer `by`, and deals it until the group has it. */
  async giveKey(name: string, by: number, key: NewKey): Promise<void> {
    const next = this.epochOf(by) + 1;
    const order = await this.order(by, key.action);
    const { driver } = this.node(by);
    const serve = () => {
      if (this.epochOf(by) >= next) return;
      for (const packets of key.due(order, this.node(by).name, this.state(by)))
        void this.node(by).driver?.submitDealings(packets);
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
