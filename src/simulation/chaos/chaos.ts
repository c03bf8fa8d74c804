/** The faults of the safety phase: network, disks and machines of honest peers fail as the seed draws it. */

import type { Counters } from '../world/counters.ts';
import type { Peer, World } from '../world/world.ts';
import type { Operator } from './operator.ts';

/** All faults of one run, except the lies. */
export class Chaos {
  readonly #world: World;
  readonly #operator: Operator;
  readonly #counters: Counters;
  readonly #onWentBack: (peer: Peer) => void;
  /** Pairs `from to`. Frames in this direction are lost, and the connection stays open. */
  readonly #oneWay = new Set<string>();
  #quiet = false;

  constructor(world: World, operator: Operator, counters: Counters, onWentBack: (peer: Peer) => void) {
    this.#world = world;
    this.#operator = operator;
    this.#counters = counters;
    this.#onWentBack = onWentBack;
  }

  /** Schedules all faults of the run. */
  schedule(): void {
    const { options } = this.#world;
    const sometime = (run: () => void) => {
      this.#world.time.schedule(this.#world.random() * options.safetyMs, () => {
        if (!this.#quiet) run();
      });
    };
    for (let count = 0; count < options.crashes; count += 1) sometime(() => this.#crash());
    for (let count = 0; count < options.partitions; count += 1) sometime(() => this.#partition());
    for (let count = 0; count < options.orders; count += 1) sometime(() => this.#order());
    for (let count = 0; count < 2; count += 1) sometime(() => this.#anyone()?.driver?.refresh());
    for (let count = 0; count < options.restores; count += 1) this.#restore(sometime);
  }

  /** Ends the faults: the network is whole again, and every peer runs. */
  end(): void {
    this.#quiet = true;
    this.#oneWay.clear();
    this.#world.network.heal();
    for (const peer of this.#world.peers) {
      peer.store?.crashAtNextWrite(null);
      void this.#world.start(peer);
    }
  }

  /** The fate of one frame: it is lost, or comes `laterMs` later than the network brings it. */
  fate({ from, to }: { from: string; to: string }): 'lost' | { laterMs: number } {
    const { lossRate, reorderRate, delayMsMax } = this.#world.options;
    if (this.#quiet) return { laterMs: 0 };
    if (this.#oneWay.has(`${from} ${to}`) || this.#world.random() < lossRate) {
      this.#counters.count('frame lost');
      return 'lost';
    }
    if (this.#world.random() >= reorderRate) return { laterMs: 0 };
    this.#counters.count('frame out of order');
    return { laterMs: 1 + this.#world.random() * 10 * delayMsMax };
  }

  /** Whether the worker with this peer's job dies over it. */
  workerDies({ faulty }: Peer): boolean {
    const { workerDeaths } = this.#world.options;
    if (this.#quiet || workerDeaths === 0 || faulty === 'lies' || this.#world.random() >= workerDeaths)
      return false;
    this.#counters.count('worker died');
    return true;
  }

  /** How many copies of a frame arrive. */
  copies(): number {
    if (this.#quiet || this.#world.random() >= this.#world.options.duplicateRate) return 1;
    this.#counters.count('frame twice');
    return 2;
  }

  #anyone(): Peer | undefined {
    const { peers, random } = this.#world;
    return peers[Math.floor(random() * peers.length)];
  }

  #honest(): Peer | undefined {
    const { peers, random } = this.#world;
    const honest = peers.filter(({ faulty }) => faulty !== 'lies');
    return honest[Math.floor(random() * honest.length)];
  }

  #crash(): void {
    const peer = this.#honest();
    if (!peer?.driver) return;
    const how = (['before', 'inside', 'after', 'now'] as const)[Math.floor(this.#world.random() * 4)];
    this.#counters.count(how === 'now' || how === undefined ? 'crash' : `crash ${how} a write`);
    if (how === 'now' || how === undefined) this.#world.crash(peer);
    else peer.store?.crashAtNextWrite(how);
  }

  /** Starts a crashed peer again after a while. */
  onCrash(peer: Peer): void {
    this.#world.time.schedule(20 + this.#world.random() ** 3 * 4_000, () => void this.#world.start(peer));
  }

  #partition(): void {
    const { peers, network, random, time } = this.#world;
    const cut = peers.filter(() => random() < 0.4);
    const lastsMs = 100 + random() ** 2 * 5_000;
    if (random() < 0.5) {
      this.#counters.count('partition');
      network.partition(
        [cut, peers.filter((peer) => !cut.includes(peer))].map((side) => side.map(({ peer }) => peer)),
      );
      time.schedule(lastsMs, () => network.heal());
      return;
    }
    this.#counters.count('one-way partition');
    const pairs = cut.flatMap((a) => peers.filter((b) => !cut.includes(b)).map((b) => `${a.peer} ${b.peer}`));
    for (const pair of pairs) this.#oneWay.add(pair);
    time.schedule(lastsMs, () => {
      for (const pair of pairs) this.#oneWay.delete(pair);
    });
  }

  /** Copies one peer's disk. Later the copy takes the place of the disk. */
  #restore(sometime: (run: () => void) => void): void {
    const peer = this.#world.peers.find(({ faulty }) => faulty === 'went-back');
    if (peer === undefined) return;
    sometime(() => {
      peer.home.takeImage();
      this.#world.time.schedule(20 + this.#world.random() ** 2 * 2_000, () => {
        if (this.#quiet) return;
        this.#world.crash(peer);
        if (!peer.home.restoreImage()) return;
        this.#counters.count('old image restored');
        this.#onWentBack(peer);
      });
    });
  }

  #order(): void {
    const peer = this.#anyone();
    for (const what of (peer && this.#operator.order(peer)) ?? []) this.#counters.count(`order: ${what}`);
  }
}
