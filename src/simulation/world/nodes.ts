/**
 * The members of a group in one process: the real drivers and cores over a simulated network, virtual time and
 * seeded chance.
 */
import type { CipherName } from '../../cipher/local-cipher.ts';
import { ed25519FromSeed } from '../../crypto/signature.ts';
import { Driver } from '../../node/driver/driver.ts';
import { runJob } from '../../node/jobs/change-jobs.ts';
import {
  createCore,
  foundDurable,
  foundingLink,
  foundingValue,
  signFounding,
} from '../../protocol/machine/create.ts';
import { durableFromRecords } from '../../protocol/machine/durable-records.ts';
import type { Job, JobResult, Output } from '../../protocol/machine/io.ts';
import { holdsShare } from '../../protocol/machine/queries.ts';
import type { PrintedName } from '../../protocol/machine/rule-names.ts';
import type { CoreState, Timing } from '../../protocol/machine/state.ts';
import { type Frame, frameSchema } from '../../protocol/records/change-messages.ts';
import { decode, encode } from '../../protocol/records/codec.ts';
import type { FaultModel, Genesis } from '../../protocol/records/genesis.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Client } from '../../protocol/records/value.ts';
import { MemoryHome, MemoryStore } from './memory-store.ts';
import { SimulatedNetwork, type SimulatedNetworkOptions } from './simulated-network.ts';
import type { SimulatedTransport } from './simulated-transport.ts';
import { seededBytes, settled, VirtualTime } from './virtual-time.ts';

export const testTiming: Timing = {
  refreshPeriodMs: 3_600_000,
  refreshJitter: 0.1,
  minimumIntervalMs: 0,
  dealingWindowMs: 500,
  roundTimeoutMs: 500,
  haveDelayMs: 50,
  graceMs: 200,
  resendMs: 300,
  resendMaxMs: 2_000,
  recoveryHoldMs: 2_000,
};

const ciphers: CipherName[] = ['aes', 'blowfish', 'des', '3des', 'xchacha20'];
const silent = { debug() {}, info() {}, warn() {}, error() {} };

export interface GroupOptions {
  peers: number;
  threshold: number;
  seed?: number;
  faultModel?: FaultModel;
  membersMax?: number;
  absentEpochsMax?: number;
  gate?: number;
  /** How many epochs each peer keeps in its archive; all when not given. */
  archiveEpochs?: number;
  timing?: Partial<Timing>;
  network?: Partial<SimulatedNetworkOptions>;
  clients?: Client[];
  /** By how much the wall clock of a peer (its place in `nodes`) is wrong. */
  clockSkewMs?: Record<number, number>;
  /** What a peer's computation waits for before it begins. */
  beforeJob?: (node: string, job: Job) => Promise<void> | undefined;
  /** What a peer takes for the result of its computation. */
  afterJob?: (node: string, result: JobResult) => JobResult;
}

export interface Node {
  name: string;
  peer: string;
  home: MemoryHome;
  store: MemoryStore;
  driver: Driver | null;
  cipher: CipherName;
  /** Every output that the driver performed since the node was created, oldest first. */
  outputs: Output[];
}

/** The frames that arrive instead of `frame`: none drops it, another lies, two repeat or contradict. */
type Intercept = (link: { from: string; to: string }, frame: Frame) => Frame[];

/** The members of a group: what they run on, and how the test moves time and takes them down. */
export class Nodes {
  readonly time = new VirtualTime();
  readonly network: SimulatedNetwork;
  readonly nodes: Node[] = [];
  readonly genesis: Genesis;
  readonly operatorSeed: Uint8Array;
  readonly founding: Link;
  readonly options: GroupOptions;
  readonly random: (length: number) => Uint8Array;
  /** Every output of every peer in the order in which they were performed. */
  readonly trace: Array<{ node: string; output: Output }> = [];
  /** What becomes of a frame on its way between two peers; null lets all pass. */
  intercept: Intercept | null = null;
  #starts = 0;

  constructor(options: GroupOptions) {
    this.options = options;
    const seed = options.seed ?? 1;
    this.random = seededBytes(`group/${seed}`);
    this.network = new SimulatedNetwork({ scheduler: this.time, seed, ...options.network });
    this.operatorSeed = this.random(32);
    this.genesis = {
      name: 'test',
      operators: [ed25519FromSeed(this.operatorSeed).publicKey],
      operatorsNeeded: 1,
      threshold: options.threshold,
      membersMax: options.membersMax ?? Math.max(8, options.peers),
      faultModel: options.faultModel ?? 'byzantine',
      absentEpochsMax: options.absentEpochsMax ?? 100,
      nonce: this.random(16),
    };
    const epochKeys = Array.from({ length: options.peers }, () => this.random(32)).map((epochSeed) => ({
      seed: epochSeed,
      publicKey: ed25519FromSeed(epochSeed).publicKey,
    }));
    const roster = epochKeys.map(({ publicKey }, at) => ({
      index: at + 1,
      name: `p${at + 1}`,
      peer: `peer-${String(at + 1).padStart(4, '0')}`,
      epochKey: publicKey,
    }));
    const value = foundingValue(this.genesis, roster, options.clients ?? []);
    this.founding = foundingLink(value, [signFounding(this.genesis, this.operatorSeed, value)]);
    roster.forEach(({ name, peer }, at) => {
      const epochKey = epochKeys[at] as (typeof epochKeys)[number];
      const durable = foundDurable(this.genesis, this.founding, epochKey, this.time.clock().wallMs());
      const node = this.#newNode(name, peer, at);
      node.driver = this.#driver(node, this.#core(node, durable));
    });
  }

  #newNode(name: string, peer: string, at: number): Node {
    const home = new MemoryHome();
    const cipher = ciphers[at % ciphers.length] as CipherName;
    const node: Node = {
      ...{ name, peer, home, store: new MemoryStore(home), driver: null, cipher, outputs: [] },
    };
    this.nodes.push(node);
    return node;
  }

  /** Starts one more peer, with what its lobby gave it; its place in `nodes`. */
  async add(name: string, peer: string, durable: CoreState['durable']): Promise<number> {
    const place = this.nodes.length + 1;
    const node = this.#newNode(name, peer, place);
    await node.store.open();
    node.driver = this.#driver(node, this.#core(node, durable));
    await node.driver.start({ fresh: true });
    return place;
  }

  #core(node: Node, durable: CoreState['durable']): CoreState {
    return createCore({
      genesis: this.genesis,
      peer: node.peer,
      timing: { ...testTiming, ...this.options.timing },
      gate: this.options.gate ?? 0,
      archiveEpochs: this.options.archiveEpochs ?? null,
      durable,
    });
  }

  #driver(node: Node, state: CoreState): Driver {
    this.#starts += 1;
    const randomBytes = seededBytes(`${this.options.seed ?? 1}/${node.name}/${this.#starts}`);
    return new Driver({
      state,
      store: node.store,
      transport: this.#transport(node),
      compute: async (job) => {
        if (this.options.beforeJob) await this.options.beforeJob(node.name, job);
        return new Promise((resolve) => {
          this.time.schedule(1, () => {
            const result = runJob(job, { cipher: node.cipher, randomBytes });
            resolve(this.options.afterJob?.(node.name, result) ?? result);
          });
        });
      },
      clock: this.time.clock(this.options.clockSkewMs?.[this.nodes.indexOf(node) + 1] ?? 0),
      randomBytes,
      log: silent,
      addressesOf: () => [],
      onRequest: async () => new Uint8Array(),
      onFailure: (error) => {
        throw error;
      },
      onOutput: (output) => {
        node.outputs.push(output);
        this.trace.push({ node: node.name, output });
      },
    });
  }

  /** A transport whose arriving frames go through `intercept`. */
  #transport(node: Node): SimulatedTransport {
    const transport = this.network.transport(node.peer);
    const receive = transport.receive.bind(transport);
    transport.receive = (arrived, authenticated) => {
      if (this.intercept === null) return receive(arrived, authenticated);
      const from = this.nodes.find(({ peer }) => peer === arrived.from)?.name ?? arrived.from;
      const frame = decode(frameSchema, arrived.bytes);
      for (const changed of this.intercept({ from, to: node.name }, frame))
        receive({ ...arrived, bytes: encode(changed) }, authenticated);
    };
    return transport;
  }

  node(index: number): Node {
    return this.nodes[index - 1] as Node;
  }

  get running(): Node[] {
    return this.nodes.filter((node) => node.driver !== null);
  }

  state(index: number): CoreState {
    const { driver } = this.node(index);
    if (driver === null) throw new Error(`p${index} is not running`);
    return driver.state;
  }

  async start(): Promise<void> {
    for (const node of this.nodes) {
      await node.store.open();
      await node.driver?.start({ fresh: true });
    }
  }

  async stop(index: number): Promise<void> {
    const node = this.node(index);
    await node.driver?.stop();
    node.driver = null;
    await node.store.close();
  }

  /** Starts a stopped peer from what its store holds, and nothing else. */
  async restart(index: number): Promise<void> {
    const node = this.node(index);
    const durable = durableFromRecords(await node.store.open());
    node.driver = this.#driver(node, this.#core(node, durable));
    await node.driver.start({ fresh: false });
  }

  async stopAll(): Promise<void> {
    for (const node of this.running) await this.stop(this.nodes.indexOf(node) + 1);
  }

  /** Runs virtual time until `condition` holds; throws after `limitMs` of it. */
  async until(condition: () => boolean, limitMs = 120_000, what = 'the condition'): Promise<void> {
    const end = this.time.now() + limitMs;
    await settled();
    while (!condition()) {
      if (this.time.now() > end || !(await this.time.next()))
        throw new Error(`${what} did not come within ${limitMs} ms of virtual time`);
    }
  }

  async run(forMs: number): Promise<void> {
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

  /** All running members have retired `epoch` and hold their share of it. */
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

/** All links from this epoch on that a peer can show. */
export async function chainFrom({ archive }: Driver, first: number): Promise<Link[]> {
  const links: Link[] = [];
  for (;;) {
    const more = await archive.linksFrom(first + links.length);
    if (more.length === 0) return links;
    links.push(...more);
  }
}
