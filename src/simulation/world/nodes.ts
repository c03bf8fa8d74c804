/**
 * The members of a group in one process: real drivers, cores, uses of keys and statuses over a simulated
 * network, with virtual time and seeded random bytes.
 */
import type { CipherName } from '../../cipher/local-cipher.ts';
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { Clock } from '../../node/clock.ts';
import { Driver } from '../../node/driver/driver.ts';
import type { Workers } from '../../node/jobs/workers.ts';
import { silentLog } from '../../node/log.ts';
import { UseService } from '../../node/use/service.ts';
import { statusView } from '../../node/views/daemon-views.ts';
import type { StatusView } from '../../node/views/view.ts';
import { createCore, foundDurable } from '../../protocol/machine/create.ts';
import { durableFromRecords } from '../../protocol/machine/durable-records.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import type { Output } from '../../protocol/machine/io.ts';
import { holdsShare } from '../../protocol/machine/queries.ts';
import type { PrintedName } from '../../protocol/machine/rule-names.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { frameEnvelope } from '../../protocol/records/change-messages.ts';
import type { Genesis } from '../../protocol/records/genesis.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Member } from '../../protocol/records/roster.ts';
import { type AnswerUse, type GroupOptions, type Intercept, testTiming } from './group-options.ts';
import { MemoryHome, MemoryStore } from './memory-store.ts';
import { paperCluster } from './paper.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedTransport } from './simulated-transport.ts';
import { seededBytes, settled, VirtualTime } from './virtual-time.ts';
import { workersInPlace } from './workers-in-place.ts';

const ciphers: CipherName[] = ['aes', 'blowfish', 'des', '3des', 'xchacha20'];

/** One peer of the group. */
export interface Node {
  name: string;
  peer: string;
  home: MemoryHome;
  store: MemoryStore;
  cipher: CipherName;
  /** The driver of the run under way. Null while the peer is stopped. */
  driver: Driver | null;
  use: UseService | null;
  /** The transport of the newest run. */
  transport: SimulatedTransport;
  workers: Workers;
  /** Every output that the driver performed since the node was made, oldest first. */
  outputs: Output[];
}

/**
 * The members of a group, the world that they run in, and the acts of a test: it moves time and stops
 * members.
 */
export class Nodes {
  readonly time: VirtualTime;
  readonly network: SimulatedNetwork;
  readonly nodes: Node[] = [];
  readonly genesis: Genesis;
  readonly operatorSeed: Uint8Array;
  readonly founding: Link;
  readonly options: GroupOptions;
  readonly random: (length: number) => Uint8Array;
  /** Every output of every peer, in the order in which they were performed. */
  readonly trace: Array<{ node: string; output: Output }> = [];
  /** Replaces frames on their way between two peers. Null lets all pass. */
  intercept: Intercept | null = null;
  answerUse: AnswerUse = (_, asked, honest) => honest(asked);
  #starts = 0;

  constructor(options: GroupOptions) {
    this.options = options;
    const { peers, threshold, seed = 1, clients } = options;
    this.time = options.time ?? new VirtualTime();
    this.random = seededBytes(`group/${seed}`);
    this.network = new SimulatedNetwork({ scheduler: this.time, seed, ...options.network });
    const made = paperCluster({
      ...{ peers, threshold, clients, random: this.random },
      genesis: {
        name: 'test',
        membersMax: options.membersMax ?? Math.max(8, peers),
        faultModel: options.faultModel ?? 'byzantine',
        absentEpochsMax: options.absentEpochsMax ?? 100,
      },
    });
    this.operatorSeed = made.operatorSeeds[0] as Uint8Array;
    const { genesis, founding, epochSeeds } = options.paper ?? made;
    this.genesis = genesis;
    this.founding = founding;
    for (const [at, epochSeed] of epochSeeds.entries()) {
      const { name, peer } = founding.value.roster[at] as Member;
      const epochKey = { seed: epochSeed, publicKey: ed25519FromSeed(epochSeed).publicKey };
      this.#newNode(name, peer, at, foundDurable(genesis, founding, epochKey, this.time.clock().wallMs()));
    }
  }

  #newNode(name: string, peer: string, at: number, durable: Durable): Node {
    const home = new MemoryHome();
    const cipher = ciphers[at % ciphers.length] as CipherName;
    const node = {
      name,
      peer,
      home,
      store: new MemoryStore(home),
      cipher,
      outputs: [],
    } as Partial<Node> as Node;
    this.nodes.push(node);
    this.#drive(node, durable);
    return node;
  }

  /** Starts one more peer with the records that its lobby gave it. Gives its place in `nodes`. */
  async add(name: string, peer: string, durable: Durable): Promise<number> {
    const place = this.nodes.length + 1;
    const node = this.#newNode(name, peer, place, durable);
    await node.store.open();
    await node.driver?.start({ fresh: true });
    return place;
  }

  #core(node: Node, durable: Durable): CoreState {
    return createCore({
      genesis: this.genesis,
      peer: node.peer,
      timing: { ...testTiming, ...this.options.timing },
      gate: this.options.gate ?? 0,
      archiveEpochs: this.options.archiveEpochs ?? null,
      durable,
    });
  }

  /** Gives the peer a driver with this state, and a service that uses keys beside it. */
  #drive(node: Node, durable: Durable): Driver {
    this.#starts += 1;
    const randomBytes = seededBytes(`${this.options.seed ?? 1}/${node.name}/${this.#starts}`);
    node.workers = workersInPlace({ cipher: node.cipher, randomBytes }, () => this.time.pause(1));
    node.transport = this.#transport(node);
    const driver = new Driver({
      ...{ state: this.#core(node, durable), store: node.store, transport: node.transport, randomBytes },
      compute: async (job) => {
        // Looked up for each job: a scenario may set them while members run.
        await this.options.beforeJob?.(node.name, job);
        const result = await node.workers.compute(job);
        return this.options.afterJob?.(node.name, result) ?? result;
      },
      clock: this.#clock(node.peer),
      log: silentLog,
      addressesOf: () => [],
      onRequest: (from, asked) =>
        this.answerUse({ from: this.#nameOf(from), to: node.name }, asked, (bytes) =>
          node.use === null ? Promise.reject(new Error('it stops')) : node.use.answer(from, bytes),
        ),
      onFailure: (error) => {
        throw error;
      },
      onOutput: (output) => {
        node.outputs.push(output);
        this.trace.push({ node: node.name, output });
      },
    });
    node.driver = driver;
    node.use = this.newUse(node, driver);
    return driver;
  }

  /** A new service that uses keys at a peer. It knows nothing about the other members yet. */
  newUse(
    { peer, transport, workers }: Pick<Node, 'peer' | 'transport' | 'workers'>,
    driver: Driver,
  ): UseService {
    return new UseService({
      ...{ state: () => driver.state, transport, workers, partialsAtOnce: 2, log: silentLog },
      clock: this.#clock(peer),
      randomBytes: this.random,
      onChange: (listener) => driver.onChange(listener),
      audit: async (_from, _asked, answer) => answer,
    });
  }

  #clock(peer: string): Clock {
    const place = this.nodes.findIndex((node) => node.peer === peer) + 1;
    return this.time.clock(this.options.clockSkewMs?.[place] ?? 0);
  }

  #nameOf(peer: string): string {
    return this.nodes.find((node) => node.peer === peer)?.name ?? peer;
  }

  /** A transport whose arriving frames go through `intercept`. */
  #transport(node: Node): SimulatedTransport {
    const transport = this.network.transport(node.peer);
    const receive = transport.receive.bind(transport);
    transport.receive = (arrived, authenticated) => {
      if (this.intercept === null) return receive(arrived, authenticated);
      const from = this.#nameOf(arrived.from);
      const frame = frameEnvelope.decode(arrived.bytes);
      for (const changed of this.intercept({ from, to: node.name }, frame))
        receive({ ...arrived, bytes: frameEnvelope.encode(changed) }, authenticated);
    };
    return transport;
  }

  /** The peer at this place, from 1 on. */
  node(index: number): Node {
    return this.nodes[index - 1] as Node;
  }

  get running(): Node[] {
    return this.nodes.filter((node) => node.driver !== null);
  }

  /** The state of the peer's core. Throws when the peer does not run. */
  state(index: number): CoreState {
    const { driver } = this.node(index);
    if (driver === null) throw new Error(`p${index} is not running`);
    return driver.state;
  }

  /** The status that a peer would show `laterMs` milliseconds from now. */
  status(index: number, laterMs = 0): StatusView {
    const state = this.state(index);
    const clock = this.time.clock();
    return statusView(state, {
      ...{ name: this.node(index).name, cipher: this.node(index).cipher, fingerprint: null },
      reachable: new Set(Object.keys(state.volatile.authenticated)),
      ...{ nowMs: clock.nowMs() + laterMs, wallMs: clock.wallMs() + laterMs },
    });
  }

  async start(): Promise<void> {
    for (const node of this.nodes) {
      await node.store.open();
      await node.driver?.start({ fresh: true });
    }
  }

  async stop(index: number): Promise<void> {
    const node = this.node(index);
    node.use?.stop();
    await node.driver?.stop();
    node.driver = null;
    node.use = null;
    await node.store.close();
  }

  /** Starts a stopped peer from the records in its store alone. */
  async restart(index: number): Promise<void> {
    const node = this.node(index);
    const durable = durableFromRecords(await node.store.open());
    await this.#drive(node, durable).start({ fresh: false });
  }

  async stopAll(): Promise<void> {
    for (const node of this.running) await this.stop(this.nodes.indexOf(node) + 1);
  }

  /** Runs virtual time until `condition` holds. Throws after `limitMs` of virtual time. */
  async until(condition: () => boolean, limitMs = 120_000, what = 'the condition'): Promise<void> {
    const end = this.time.now() + limitMs;
    await settled();
    while (!condition()) {
      if (this.time.now() > end || !(await this.time.next()))
        throw new Error(`${what} did not come within ${limitMs} ms of virtual time`);
    }
  }

  /** Runs virtual time until the promise is settled, and gives its outcome. */
  async outcome<T>(promise: Promise<T>, limitMs?: number, what?: string): Promise<T> {
    let isOpen = true;
    const close = (): void => {
      isOpen = false;
    };
    promise.then(close, close);
    await this.until(() => !isOpen, limitMs, what);
    return promise;
  }

  /** Runs `forMs` of virtual time. */
  async run(forMs: number): Promise<void> {
    await settled(); // what a promise is about to schedule belongs to this time
    const end = this.time.now() + forMs;
    let ended = false;
    this.time.schedule(forMs, () => {
      ended = true;
    });
    while (!ended && this.time.now() <= end) await this.time.next();
  }

  epochOf(index: number): number {
    return this.state(index).durable.own.head;
  }

  /** Whether all running members have retired this epoch and hold their shares of it. */
  settledAt(epoch: number): boolean {
    return this.running.every(({ driver }) => {
      const state = (driver as Driver).state;
      return state.durable.own.head === epoch && state.durable.own.retired === epoch && holdsShare(state);
    });
  }

  /** The names that a node's core printed, oldest first. */
  printed(index: number): PrintedName[] {
    return this.node(index).outputs.flatMap((output) => (output.type === 'rule' ? [output.rule] : []));
  }
}
