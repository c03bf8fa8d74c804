/**
 * The operator of a simulated group. It gives orders through any member, and deals the keys that it orders
 * (protocol §4 "Creation").
 */

import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { Driver } from '../../node/driver/driver.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import type { Action, Order } from '../../protocol/records/order.ts';
import { faultsOf } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import { NewKey, smallKey } from '../world/new-key.ts';
import { admittedState, askedBy, type Newcomer } from '../world/newcomer.ts';
import { orderOn } from '../world/paper.ts';
import { samplePrimes } from '../world/sample-keys.ts';
import { seededRandom } from '../world/seeded-random.ts';
import { seededBytes } from '../world/virtual-time.ts';
import type { Peer, World } from '../world/world.ts';

/** The operator of one run. */
export class Operator {
  readonly #world: World;
  readonly #random: (length: number) => Uint8Array;
  readonly #chance: () => number;
  /**
   * Random numbers for additional actions. They are apart, so that the other draws of a seed do not depend on
   * them.
   */
  readonly #more: () => number;
  readonly #creating: Array<{ order: Order; key: NewKey }> = [];
  /**
   * Peers that wait for admission, with the seeds of their first epoch keys. An admitted peer is taken out.
   */
  readonly #waiting: Newcomer[];
  #names = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = seededBytes(`${world.options.seed}/operator`);
    this.#chance = seededRandom(world.options.seed + 5);
    this.#more = seededRandom(world.options.seed + 11);
    this.#waiting = ['peer-0901', 'peer-0902'].map((peer) => ({ peer, seed: this.#random(32) }));
  }

  /**
   * Orders something through the member `by`, and gives the types of its actions. Gives nothing when the
   * member is down or has an order already.
   */
  order(by: Peer): string[] {
    const state = by.driver?.state;
    if (state === undefined) return [];
    const head = headOf(state);
    if (state.durable.orders[head.lastOrder + 1] !== undefined) return [];
    this.#names += 1;
    const name = `n${this.#names}`;
    const { genesis } = this.#world;
    const drawn = this.#chance();
    const dealt =
      drawn < 0.3 && head.keys.length < 2
        ? smallKey(genesis, head.threshold, samplePrimes(512, 2), this.#random)
        : null;
    const dealingSeed = this.#random(32);
    const use = drawn < 0.15 ? 'decrypt' : 'sign';
    const key = dealt && new NewKey({ name, use, dealt, dealingSeed, genesis, random: this.#random });
    const action =
      key?.action ??
      (drawn < 0.8 ? this.#rosterChange(head, name) : null) ??
      this.#jointKey(head, name) ??
      this.#newClient(name);
    const [actions, isWrong] = this.#among(action, head, name);
    void this.#give(by, head, actions, key);
    const said = actions.map(({ type }) => type);
    return isWrong ? ['must be refused'] : [...said, ...(actions.length > 1 ? ['several actions'] : [])];
  }

  #jointKey({ keys }: Value, name: string): Action | null {
    const isWanted = this.#world.options.jointKeys && keys.length < 3 && this.#more() < 0.7;
    return isWanted ? { type: 'create-key-jointly', name, kind: 'toy', use: 'sign' } : null;
  }

  /**
   * The actions of one order. Often there are several, in either sequence. Sometimes one of them does not
   * fit, so that none of them may be carried out.
   */
  #among(action: Action, head: Value, name: string): [actions: Action[], isWrong: boolean] {
    const stops = this.#stopping(head);
    if (stops !== null && this.#more() < 0.3) return [[stops], true];
    if (this.#more() < 0.5) return [[action], false];
    const [client] = head.clients;
    const other: Action =
      client !== undefined && this.#more() < 0.4
        ? { type: 'remove-client', name: client.name }
        : this.#newClient(`${name}-too`);
    const isWrong = this.#more() < 0.3;
    const wrong: Action[] = isWrong ? [{ type: 'evict', index: 64 }] : [];
    return [this.#more() < 0.5 ? [action, other, ...wrong] : [other, ...wrong, action], isWrong];
  }

  /**
   * An eviction that would leave fewer than a quorum that may attend, because others are suspended. Null when
   * there is none.
   */
  #stopping({ roster, threshold, suspended }: Value): Action | null {
    const served = roster.filter(({ index }) => !suspended.some((each) => each.index === index));
    const [leaver] = served;
    const quorum = roster.length - 1 - faultsOf(roster.length - 1, threshold, this.#world.options.faultModel);
    return leaver !== undefined && roster.length > threshold && served.length - 1 < quorum
      ? { type: 'evict', index: leaver.index }
      : null;
  }

  /**
   * Reinstates the members with these indices under new identities. Gives true when the member `by` took the
   * order.
   */
  async reinstate(by: Peer, indices: readonly number[]): Promise<boolean> {
    const state = by.driver?.state;
    if (state === undefined) return false;
    const actions = indices.map((index): Action => {
      this.#names += 1;
      const newcomer = { peer: `peer-${9_100 + this.#names}`, seed: this.#random(32) };
      this.#waiting.push(newcomer);
      return { type: 'reinstate', index, ...askedBy(newcomer) };
    });
    return this.#give(by, headOf(state), actions, null);
  }

  /** Orders a forced eviction: the members that remain decide alone (§5). */
  forceEviction(by: Peer, remaining: number[]): void {
    const state = by.driver?.state;
    if (state !== undefined) void this.#give(by, headOf(state), [{ type: 'force-evict', remaining }], null);
  }

  /** Gives true when the member `by` took the order. A member that has a newer value meanwhile refuses it. */
  async #give(by: Peer, head: Value, actions: Action[], key: NewKey | null): Promise<boolean> {
    const order = orderOn(this.#world, head, actions);
    if (key !== null) this.#creating.push({ order, key });
    return (
      by.driver?.submitOrder(order).then(
        () => true,
        () => false,
      ) ?? false
    );
  }

  /**
   * An action that changes the roster or the threshold: it reinstates a suspended member under a new
   * identity, admits, evicts, or raises the threshold. Afterwards the faulty members are still at most
   * `faults`. Null when none fits.
   */
  #rosterChange({ roster, threshold, suspended: suspensions }: Value, name: string): Action | null {
    const { genesis, options, peers } = this.#world;
    const faulty = roster.filter(({ peer }) => peers.find((each) => each.peer === peer)?.faulty !== null);
    const carries = (members: number, k: number, bad: number) =>
      k <= members && faultsOf(members, k, options.faultModel) >= bad;
    const candidate = this.#waiting[0];
    const suspended = suspensions[Math.floor(this.#chance() * suspensions.length)];
    if (suspended !== undefined && candidate !== undefined && this.#chance() < 0.6)
      return { type: 'reinstate', index: suspended.index, ...askedBy(candidate) };
    const drawn = this.#chance();
    if (
      drawn < 0.4 &&
      candidate !== undefined &&
      roster.length < genesis.membersMax &&
      carries(roster.length + 1, threshold, faulty.length)
    )
      return { type: 'admit', name, ...askedBy(candidate) };
    const leaver = roster[Math.floor(this.#chance() * roster.length)];
    const bad = faulty.length - (leaver !== undefined && faulty.includes(leaver) ? 1 : 0);
    if (
      drawn < 0.8 &&
      leaver !== undefined &&
      roster.length > 3 &&
      carries(roster.length - 1, threshold, bad)
    )
      return { type: 'evict', index: leaver.index };
    return carries(roster.length, threshold + 1, faulty.length) && threshold + 1 < roster.length
      ? { type: 'raise-threshold', threshold: threshold + 1 }
      : null;
  }

  /**
   * Starts every waiting peer whose admission the member `by` knows as decided. A real lobby does the same.
   * All are taken out before anything is awaited: this is called for each member, again and again.
   */
  #letIn({ driver, faulty }: Peer): void {
    if (driver === null || faulty !== null) return;
    for (const newcomer of [...this.#waiting]) {
      const { peer } = newcomer;
      const member = headOf(driver.state).roster.find((listed) => listed.peer === peer);
      if (member === undefined || driver.state.durable.admissions[peer] === undefined) continue;
      this.#waiting.splice(this.#waiting.indexOf(newcomer), 1);
      void this.#begin(driver, newcomer, member.index);
    }
  }

  async #begin(driver: Driver, newcomer: Newcomer, index: number): Promise<void> {
    const durable = await admittedState(driver, newcomer, this.#world.time.clock().wallMs());
    if (durable !== null) await this.#world.join(index, newcomer.peer, durable);
  }

  /**
   * Deals every ordered key to the members that attend a plan with its order, as the member `by` sees them.
   */
  serve(by: Peer): void {
    const state = by.driver?.state;
    if (state === undefined) return;
    if (this.#waiting.length > 0) this.#letIn(by);
    for (const { order, key } of this.#creating)
      for (const packets of key.due(order, by.name, state)) void by.driver?.submitDealings(packets);
  }

  #newClient(name: string): Action {
    const { publicKey } = ed25519FromSeed(this.#random(32));
    return {
      type: 'add-client',
      client: { name, publicKey, rights: [{ key: '*', operations: ['sign'] }], ratePerMinute: 0 },
    };
  }
}
