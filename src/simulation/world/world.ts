/**
 * A simulated group: the real drivers and cores, with a seeded clock, network, disk and entropy. This file
 * judges nothing and breaks nothing. The oracle judges, and `chaos/` breaks.
 */
import type { CipherName } from '../../cipher/local-cipher.ts';
import { Driver } from '../../node/driver/driver.ts';
import { runJob } from '../../node/jobs/change-jobs.ts';
import type { StoreTransaction } from '../../node/store/store.ts';
import { createCore } from '../../protocol/machine/create.ts';
import { durableDelta, durableFromRecords } from '../../protocol/machine/durable-records.ts';
import { type Durable, emptyDurable } from '../../protocol/machine/durable-state.ts';
import type { Job, JobResult, Output } from '../../protocol/machine/io.ts';
import type { CoreState, Timing } from '../../protocol/machine/state.ts';
import type { Genesis } from '../../protocol/records/genesis.ts';
import type { Fixture } from './fixture.ts';
import { quickBytes } from './quick-bytes.ts';
import type { RunOptions } from './run-options.ts';
import { seededRandom } from './seeded-random.ts';
import { SimulatedCrash } from './simulated-disk.ts';
import { type Route, SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedTransport } from './simulated-transport.ts';
import { SimulationHome, type SimulationStore } from './simulation-store.ts';
import { settled, VirtualTime } from './virtual-time.ts';

const timing: Timing = {
  refreshPeriodMs: 2_500,
  refreshJitter: 0.5,
  minimumIntervalMs: 200,
  dealingWindowMs: 300,
  roundTimeoutMs: 400,
  haveDelayMs: 30,
  graceMs: 150,
  resendMs: 400,
  resendMaxMs: 2_000,
  recoveryHoldMs: 5_000,
};

/** Most are the fast ciphers. Other tests show that ciphers can be mixed. */
const ciphers: CipherName[] = [
  'aes',
  'aes',
  'xchacha20',
  'aes',
  'aes',
  '3des',
  'aes',
  'aes',
  'des',
  'aes',
  'aes',
  'xchacha20',
  'blowfish',
];

/** One peer of the world. `driver`, `store` and `transport` are null while it is down. */
export interface Peer {
  /** The peer's index in the roster. A later member may get the index of an evicted one. */
  index: number;
  name: string;
  peer: string;
  home: SimulationHome;
  store: SimulationStore | null;
  driver: Driver | null;
  transport: SimulatedTransport | null;
  cipher: CipherName;
  /**
   * The peer counts as one of the `faults`: it lies, its store went back in time, it is dead for good, it is
   * away until it sleeps, or it was away.
   */
  faulty: 'lies' | 'went-back' | 'dead' | 'away' | 'was-away' | null;
  starts: number;
}

/** The functions that watch a world and change its course. */
interface WorldHooks {
  onOutput: (peer: Peer, output: Output) => void;
  onChange: (peer: Peer) => void;
  onDurable: (peer: Peer, transaction: StoreTransaction) => void;
  /** Called for a failure that no simulated crash explains. */
  onFailure: (peer: Peer, error: Error) => void;
  onCrash: (peer: Peer) => void;
  route: Route;
  /** Whether the worker with this peer's job dies over it. */
  workerDies: (peer: Peer) => boolean;
  /** Runs a peer's job. Liars change its result. */
  runJob: (peer: Peer, job: Job, run: (job: Job) => JobResult) => JobResult;
}

/** All peers of one run, their network and their time. */
export class World {
  readonly options: RunOptions;
  readonly genesis: Genesis;
  readonly operatorSeed: Uint8Array;
  readonly time = new VirtualTime();
  readonly network: SimulatedNetwork;
  readonly peers: Peer[];
  /** Random numbers for everything except the draws of the peers themselves. */
  readonly random: () => number;
  readonly #hooks: WorldHooks;

  constructor(options: RunOptions, fixture: Fixture, hooks: WorldHooks) {
    this.options = options;
    this.#hooks = hooks;
    this.genesis = fixture.genesis;
    this.operatorSeed = fixture.operatorSeed;
    this.random = seededRandom(options.seed);
    this.network = new SimulatedNetwork({
      scheduler: this.time,
      seed: options.seed + 1,
      delayMsMax: options.delayMsMax,
      reproofMs: 1_000,
      route: hooks.route,
    });
    this.peers = [];
    fixture.homes.forEach(({ peer, records }, at) => {
      this.peers.push(this.#peer(at + 1, peer, records));
    });
  }

  #peer(index: number, peer: string, records: ReadonlyMap<string, Uint8Array>): Peer {
    const serial = this.peers.length + 1;
    const cipher = ciphers[(serial + this.options.seed) % ciphers.length] as CipherName;
    const made: Peer = {
      index,
      name: `p${serial}`,
      peer,
      store: null,
      driver: null,
      transport: null,
      cipher,
      faulty: null,
      starts: 0,
      home: new SimulationHome(records, {
        random: seededRandom(this.options.seed * 64 + serial),
        delay: (ms) => this.time.pause(ms),
        writeMsMax: 4,
        files: this.options.files
          ? { cipher, randomBytes: quickBytes(`${this.options.seed}/${serial}/store`) }
          : null,
        onDurable: (transaction) => this.#hooks.onDurable(made, transaction),
      }),
    };
    return made;
  }

  /** The peer that has this index now, or had it last. */
  peerAt(index: number): Peer {
    return this.peers.findLast((peer) => peer.index === index) as Peer;
  }

  /** Starts an admitted peer with the records that its lobby gave it. */
  async join(index: number, peer: string, durable: Durable): Promise<void> {
    const joined = this.#peer(index, peer, new Map(durableDelta(emptyDurable(), durable).puts));
    this.peers.push(joined);
    await this.start(joined);
  }

  /** Starts a peer from the records in its store alone. */
  async start(peer: Peer): Promise<void> {
    if (peer.driver !== null || peer.faulty === 'dead' || peer.faulty === 'away') return;
    peer.starts += 1;
    const store = peer.home.store();
    const driver = await store
      .open()
      .then((records) => this.#driver(peer, store, durableFromRecords(records)))
      .catch((error: Error) => this.#hooks.onFailure(peer, error));
    if (!driver || peer.home.holder !== store) return;
    peer.store = store;
    peer.driver = driver;
    driver.onChange(() => this.#hooks.onChange(peer));
    await driver.start({ fresh: false });
  }

  #driver(peer: Peer, store: SimulationStore, durable: CoreState['durable']): Driver {
    const randomBytes = quickBytes(`${this.options.seed}/${peer.name}/${peer.starts}`);
    const transport = this.network.transport(peer.peer);
    peer.transport = transport;
    const driver = new Driver({
      state: createCore({ genesis: this.genesis, peer: peer.peer, timing, gate: this.options.gate, durable }),
      store,
      transport,
      compute: async (job) => {
        await this.time.pause(1 + this.random() * 5);
        if (this.#hooks.workerDies(peer)) throw new Error('Terminating worker thread');
        return this.#hooks.runJob(peer, job, (given) => runJob(given, { cipher: peer.cipher, randomBytes }));
      },
      clock: this.time.clock(),
      randomBytes,
      log: {
        debug() {},
        info() {},
        warn() {},
        error: (detail: object, what: string) => {
          if (peer.driver === driver)
            this.#hooks.onFailure(peer, (detail as { err?: Error }).err ?? new Error(what));
        },
      },
      addressesOf: () => [],
      onRequest: async () => new Uint8Array(),
      onFailure: (error) => {
        if (error instanceof SimulatedCrash || error.cause instanceof SimulatedCrash) {
          if (peer.driver === driver) this.crash(peer);
        } else this.#hooks.onFailure(peer, error);
      },
      onOutput: (output) => this.#hooks.onOutput(peer, output),
    });
    return driver;
  }

  /** Stops the machine at once. The simulated disk decides about a write under way. */
  crash(peer: Peer): void {
    const { driver } = peer;
    if (driver === null) return;
    peer.driver = null;
    peer.store = null;
    peer.transport = null;
    peer.home.crash();
    void driver.stop();
    this.#hooks.onCrash(peer);
  }

  /** Runs the next event. False when no event is left. */
  next(): Promise<boolean> {
    return this.time.next();
  }

  async stop(): Promise<void> {
    for (const peer of this.peers) {
      const { driver } = peer;
      peer.driver = null;
      peer.home.holder?.abandon();
      void driver?.stop();
    }
    await settled();
  }
}
