/**
 * A group in one process, as the daemon of a home serves it: the members' drivers, uses of keys and views are the real
 * ones, on a simulated network and on virtual time, which moves by itself while a test waits for a command.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type AuditExtent, emptyExtent } from '../../src/node/audit/entry.ts';
import { Newcomer } from '../../src/node/daemon/newcomer.ts';
import type { Driver } from '../../src/node/driver/driver.ts';
import { DaemonError } from '../../src/node/errors.ts';
import type { Home } from '../../src/node/home/home.ts';
import { type Identity, identityFromBytes, identityFromSeed } from '../../src/node/home/identity.ts';
import { admissionOf } from '../../src/node/lobby/lobby-admissions.ts';
import { silentLog } from '../../src/node/log.ts';
import type { DecryptAnswer, SignAnswer } from '../../src/node/use/answers.ts';
import type { UseService } from '../../src/node/use/service.ts';
import {
  creationView,
  epochView,
  keyViews,
  newestEpochViews,
  planViews,
} from '../../src/node/views/daemon-views.ts';
import { notKeptHere } from '../../src/node/views/keeping-problems.ts';
import type {
  CreationView,
  DaemonApi,
  EpochView,
  KeyView,
  PeerView,
  PlanView,
  StatusView,
} from '../../src/node/views/view.ts';
import { waitingPeerView } from '../../src/node/views/waiting-views.ts';
import type { Durable } from '../../src/protocol/machine/durable-state.ts';
import { headOf } from '../../src/protocol/machine/queries.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import { type AdmissionBody, fingerprintOf } from '../../src/protocol/records/admission.ts';
import { messageSchema } from '../../src/protocol/records/change-messages.ts';
import { decode, hex } from '../../src/protocol/records/codec.ts';
import type { Link } from '../../src/protocol/records/link.ts';
import type { Order } from '../../src/protocol/records/order.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import type { DecryptBody, SignBody, UseRequest } from '../../src/protocol/records/use-request.ts';
import type { Value } from '../../src/protocol/records/value.ts';
import { admittedState } from '../../src/simulation/world/newcomer.ts';
import { Nodes } from '../../src/simulation/world/nodes.ts';
import { VirtualTime } from '../../src/simulation/world/virtual-time.ts';

const random32 = (): Uint8Array => new Uint8Array(randomBytes(32));

/** A peer that has a home somewhere: what it asks for in the lobby, and the seed of its first epoch key. */
interface Peer {
  body: AdmissionBody;
  seed: Uint8Array;
}

export class ServedGroup implements DaemonApi {
  readonly home: Home;
  /** Wall clocks are right: commands and members live at the same time. */
  readonly #time = new VirtualTime(Date.now);
  readonly #newcomer: Newcomer;
  readonly #listeners = new Set<() => void>();
  /** Newest last. */
  readonly #joined: AdmissionBody[] = [];
  #waiting: Peer[] = [];
  #nodes: Nodes | null = null;
  #ended = false;
  /** What its status says instead. */
  shown: Partial<StatusView> = {};
  /** Proposals are lost, so that no change is decided. */
  holds = false;

  private constructor(home: Home, self: Peer, identity: Identity) {
    this.home = home;
    this.#wait(self);
    this.#newcomer = new Newcomer({
      ...{ home, settings: home.readSettings(), log: silentLog, identity },
      become: (durable) => this.#begin(durable),
      onChange: () => this.change(),
      onFailure: (error) => {
        throw error;
      },
    });
  }

  static async create(home: Home, names: readonly string[]): Promise<ServedGroup> {
    const identity = identityFromBytes(home.readIdentity());
    const seed = home.readFirstEpochSeed();
    if (seed === null) throw new Error('a fresh home has its first epoch key');
    const group = new ServedGroup(home, peerOf(home, home.readSettings().name, identity, seed), identity);
    for (const name of names) await group.joins(name);
    void group.#live();
    return group;
  }

  // ── what a test does with it ───────────────────────────────────────────────────────────────────────────────────────

  get nodes(): Nodes {
    if (this.#nodes === null) throw new DaemonError('not-a-member', 'not founded yet');
    return this.#nodes;
  }
  get head(): Value {
    return headOf(this.#core);
  }

  /** A peer with a new home waits under this name. */
  async joins(name: string): Promise<void> {
    this.#wait(peerOf(this.home, name, await identityFromSeed(random32()), random32()));
    this.change();
  }

  /** Of the newest peer that waited under this name, member or not. */
  fingerprint(name: string): string {
    const body = this.#joined.findLast((one) => one.name === name);
    if (body === undefined) throw new Error(`there is no peer ${name}`);
    return fingerprintOf(body);
  }

  /** Resolves once it is so. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await pause(1);
  }

  /** Cuts these members off from all others. */
  async silence(...names: string[]): Promise<void> {
    const { nodes, network } = this.nodes;
    const peers = this.head.roster.filter(({ name }) => names.includes(name)).map(({ peer }) => peer);
    for (const one of peers) for (const other of nodes) if (other.peer !== one) network.cut(one, other.peer);
    await this.until(() => !peers.some((peer) => this.#core.volatile.connected[peer]));
  }

  /** All members reach each other again. */
  async wake(): Promise<void> {
    if (this.#nodes === null) return;
    this.#nodes.network.heal();
    await this.rest();
  }

  /** All members reach each other, and what was held or is pending is carried out, or dropped. */
  async calm(): Promise<void> {
    this.holds = false;
    await this.wake();
  }

  /**
   * Resolves once all members are authenticated to each other and hold their shares of the same value. While nothing
   * is held back, no order is pending then but one whose dealer has not dealt.
   */
  async rest(): Promise<void> {
    await this.until(() => {
      const { epoch, roster } = this.head;
      return this.nodes.nodes.every(({ peer, driver }) => {
        if (roster.every((member) => member.peer !== peer)) return true;
        const { durable, volatile } = (driver as Driver).state;
        return (
          (this.holds || Object.values(durable.orders).every(waitsForDealer)) &&
          durable.own.head === epoch &&
          durable.own.retired === epoch &&
          roster.every((other) => other.peer === peer || volatile.authenticated[other.peer])
        );
      });
    });
  }

  /** The next value, with all that was held back, is decided, and all are at rest. */
  async refreshed(): Promise<void> {
    const { epoch } = this.head;
    this.holds = false;
    this.refresh();
    await this.until(() => this.head.epoch > epoch);
    await this.rest();
  }

  change(): void {
    for (const listener of this.#listeners) listener();
  }

  end(): void {
    this.#ended = true;
  }

  // ── what moves it ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #live(): Promise<void> {
    for (; !this.#ended; await pause(1)) await this.#nodes?.run(20);
    await this.#nodes?.stopAll();
  }

  async #begin({ links }: Durable): Promise<void> {
    const { genesis } = this.home;
    const founding = links[0] as Link;
    const founders = founding.value.roster.map(({ peer }) => this.#take(peer) as Peer);
    const nodes = new Nodes({
      ...{ peers: founders.length, threshold: genesis.threshold, time: this.#time },
      paper: { genesis, founding, epochSeeds: founders.map(({ seed }) => seed) },
      // An operator's command takes real time to deal, while virtual time goes on.
      timing: { refreshPeriodMs: 30 * 24 * 3_600_000, dealingWindowMs: 5_000 },
    });
    nodes.intercept = (_, frame) =>
      this.holds &&
      frame.type === 'message' &&
      decode(messageSchema, frame.message.packet.body).type === 'proposal'
        ? []
        : [frame];
    await nodes.start();
    this.#nodes = nodes;
    nodes.node(1).driver?.onChange(() => {
      void this.#letIn();
      this.change();
    });
    this.change();
    await this.rest();
  }

  #wait(peer: Peer): void {
    this.#joined.push(peer.body);
    this.#waiting.push(peer);
  }

  #take(peer: string): Peer | undefined {
    const found = this.#waiting.find(({ body }) => body.peer === peer);
    this.#waiting = this.#waiting.filter((one) => one !== found);
    return found;
  }

  /** Starts every peer whose admission took effect, as its lobby does. */
  async #letIn(): Promise<void> {
    for (const { peer } of this.head.roster) {
      const admitted = this.#take(peer);
      if (admitted === undefined) continue;
      const newcomer = { peer, seed: admitted.seed };
      const durable = await admittedState(this.#driver, newcomer, Date.now());
      if (durable !== null) await this.nodes.add(admitted.body.name, peer, durable);
    }
  }

  get #driver(): Driver {
    return this.nodes.node(1).driver as Driver;
  }
  get #use(): UseService {
    return this.nodes.node(1).use as UseService;
  }
  get #core(): CoreState {
    return this.nodes.state(1);
  }

  // ── DaemonApi ──────────────────────────────────────────────────────────────────────────────────────────────────────

  status(): StatusView {
    const status = this.#nodes?.status(1) ?? this.#newcomer.status(this.#waiting.length - 1);
    return { ...status, ...this.shown };
  }

  peers(): PeerView[] {
    const waiting = this.#waiting.map(({ body }) =>
      waitingPeerView({ body, fingerprint: fingerprintOf(body), atMs: 0 }),
    );
    if (this.#nodes === null) return [this.#newcomer.view(), ...waiting.slice(1)];
    const { roster } = this.status();
    const { transport } = this.#nodes.node(1);
    const members = this.head.roster.map(
      ({ epochKey, index, ...member }, at): PeerView => ({
        ...{ name: member.name, peer: member.peer, index, epochKey: hex(epochKey), state: 'member' },
        self: at === 0,
        connected: at === 0 || transport.connected().includes(member.peer),
        authenticated: at === 0 || transport.authenticated().includes(member.peer),
        ...{ fingerprint: null, addresses: [], ability: roster[at] ?? null },
      }),
    );
    return [...members, ...waiting];
  }

  async epoch(epoch: number): Promise<EpochView> {
    const records = await this.#driver.archive.records(epoch);
    if (records === null)
      throw new DaemonError(
        'unknown',
        `this peer knows nothing of epoch ${epoch}; the newest is ${this.head.epoch}`,
      );
    return epochView(this.#core, records, Date.now());
  }

  async epochs(limit = 20): Promise<EpochView[]> {
    const newest = Array.from({ length: this.head.epoch + 1 }, (_, back) => this.head.epoch - back);
    return Promise.all(newest.slice(0, limit).map((epoch) => this.epoch(epoch)));
  }

  newestEpochs(): EpochView[] {
    return newestEpochViews(this.#core, Date.now());
  }

  audit(): AuditExtent {
    return emptyExtent;
  }

  keys(): KeyView[] {
    return keyViews(this.#core);
  }

  async invite(): Promise<string> {
    return 'holdfast1invitation';
  }

  async found(link: Link): Promise<void> {
    if (this.#nodes !== null) throw new DaemonError('refused', 'this cluster is founded already');
    await this.#newcomer.found(link, []);
  }

  async submitOrder(order: Order): Promise<void> {
    await this.#driver.submitOrder(order);
  }

  creation(orderHash: Uint8Array): CreationView {
    return creationView(this.#core, orderHash);
  }

  plans(): PlanView[] {
    return planViews(this.#core);
  }

  async submitDealings(packets: readonly Packet[]): Promise<void> {
    await this.#driver.submitDealings([...packets]);
  }

  async links(from: number): Promise<Link[]> {
    const links = await this.#driver.archive.linksFrom(from);
    if (links.length > 0 || from > this.head.epoch) return links;
    throw new DaemonError('unknown', notKeptHere(this.#core, from));
  }

  refresh(): void {
    this.#driver.refresh();
  }

  async sign(request: UseRequest<SignBody>, timeoutMs = 10_000, gone?: AbortSignal): Promise<SignAnswer> {
    return this.#use.sign(request, timeoutMs, gone);
  }

  async decrypt(
    request: UseRequest<DecryptBody>,
    options = { prove: false, timeoutMs: 10_000 },
  ): Promise<DecryptAnswer> {
    return this.#use.decrypt(request, options);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const waitsForDealer = ({ body }: Order): boolean => body.actions.some(({ type }) => type === 'create-key');

function peerOf({ cluster }: Home, name: string, identity: Identity, seed: Uint8Array): Peer {
  const { body } = admissionOf({ cluster, name, identity, epochSeed: seed, addresses: [] });
  return { body, seed };
}
