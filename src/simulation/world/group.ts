/**
 * A whole group in one process: the real drivers and cores over a simulated network, virtual time and seeded
 * chance.
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
  joinDurable,
  signFounding,
} from '../../protocol/machine/create.ts';
import { durableFromRecords } from '../../protocol/machine/durable-records.ts';
import type { Job, Output } from '../../protocol/machine/io.ts';
import { headOf, holdsShare } from '../../protocol/machine/queries.ts';
import type { PrintedName } from '../../protocol/machine/rule-names.ts';
import type { CoreState, Timing } from '../../protocol/machine/state.ts';
import { type Frame, frameSchema } from '../../protocol/records/change-messages.ts';
import { decode, encode } from '../../protocol/records/codec.ts';
import { clusterIdOf, type FaultModel, type Genesis } from '../../protocol/records/genesis.ts';
import type { Link } from '../../protocol/records/link.ts';
import { type Action, type Order, signOrder } from '../../protocol/records/order.ts';
import { type Client, hashOfValue } from '../../protocol/records/value.ts';
import { MemoryHome, MemoryStore } from './memory-store.ts';
import { NewKey, smallCreation } from './new-key.ts';
import { samplePrimes } from './sample-keys.ts';
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

export class Group {
  readonly time = new VirtualTime();
  readonly network: SimulatedNetwork;
  readonly nodes: Node[] = [];
  readonly genesis: Genesis;
  readonly operatorSeed: Uint8Array;
  /** By key name: what the dealer of a new key signs with. */
  readonly dealingSeeds = new Map<string, Uint8Array>();
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
    roster.forEach((member, at) => {
      const durable = foundDurable(
        this.genesis,
        this.founding,
        epochKeys[at] as (typeof epochKeys)[number],
        this.time.clock().wallMs(),
      );
      const home = new MemoryHome();
      const node: Node = {
        name: member.name,
        peer: member.peer,
        home,
        store: new MemoryStore(home),
        driver: null,
        cipher: ciphers[at % ciphers.length] as CipherName,
        outputs: [],
      };
      this.nodes.push(node);
      node.driver = this.#driver(node, this.#core(node, durable));
    });
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
          this.time.schedule(1, () => resolve(runJob(job, { cipher: node.cipher, randomBytes })));
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
    const order = this.state(by).durable.admissions[peer] as Order;
    const chain = await chainFrom(this.node(by).driver as Driver, order.body.ancestorEpoch);
    const durable = joinDurable({
      genesis: this.genesis,
      peer,
      order,
      links: chain,
      epochKey: { publicKey, seed },
      wallMs: this.time.clock().wallMs(),
    });
    const home = new MemoryHome();
    const node: Node = {
      name,
      peer,
      home,
      store: new MemoryStore(home),
      driver: null,
      cipher: ciphers[place % ciphers.length] as CipherName,
      outputs: [],
    };
    this.nodes.push(node);
    await node.store.open();
    node.driver = this.#driver(node, this.#core(node, durable));
    await node.driver.start({ fresh: true });
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
    const head = headOf(this.state(by));
    const order = signOrder(this.genesis, this.operatorSeed, {
      cluster: clusterIdOf(this.genesis),
      ancestor: hashOfValue(head),
      ancestorEpoch: head.epoch,
      sequence: head.lastOrder + 1,
      actions,
    });
    await this.node(by).driver?.submitOrder(order);
    return order;
  }

  /** A new 512-bit key, shared by the present threshold. */
  newKey(name: string, by: number, primes: { p: bigint; q: bigint }): NewKey {
    const { genesis, random } = this;
    const creation = smallCreation(genesis, headOf(this.state(by)).threshold, primes, random);
    const dealingSeed = random(32);
    this.dealingSeeds.set(name, dealingSeed);
    return new NewKey({ name, use: 'sign', creation, dealingSeed, genesis, random });
  }

  /** Creates a 512-bit key as the operator's command does: an order, then its dealing to everyone who attends. */
  async createKey(
    name = 'key',
    by = 1,
    primes = samplePrimes(512, 2 * headOf(this.state(by)).keys.length),
  ): Promise<void> {
    const key = this.newKey(name, by, primes);
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

/** A founded and started group with one key. */
export async function groupWithKey(options: GroupOptions): Promise<Group> {
  const group = new Group(options);
  await group.start();
  await group.createKey();
  return group;
}
