/** A peer that is a member: core and driver, network, and the use of keys, and what can be read from them. */
import { encode, hex, sameBytes } from '../protocol/codec.ts';
import { createCore } from '../protocol/create.ts';
import { limits } from '../protocol/limits.ts';
import type { Link } from '../protocol/link.ts';
import { hashOfOrder } from '../protocol/order.ts';
import { attendsOf, headLink, headOf } from '../protocol/queries.ts';
import type { CoreState, Durable, Timing } from '../protocol/state.ts';
import { reachableAddresses } from './addresses.ts';
import { systemClock } from './clock.ts';
import { epochView } from './daemon-views.ts';
import { Driver } from './driver.ts';
import type { Home } from './home.ts';
import type { RandomBytes } from './jobs.ts';
import type { HandOut } from './lobby-service.ts';
import type { Log } from './log.ts';
import type { Identity } from './network/identity.ts';
import { Libp2pTransport } from './network/libp2p-transport.ts';
import type { MemberAddress } from './network/transport.ts';
import type { Settings } from './settings.ts';
import type { Store } from './store/store.ts';
import { UseService } from './use-service.ts';
import { type CreationView, DaemonError, type EpochView, type PeerView } from './view.ts';
import type { Workers } from './workers.ts';

export interface MembershipOptions {
  home: Home;
  settings: Settings;
  log: Log;
  identity: Identity;
  store: Store;
  workers: Workers;
  randomBytes: RandomBytes;
  durable: Durable;
  /** Where the others were last known to listen. */
  addresses: MemberAddress[];
  onChange: () => void;
  /** The store failed: what is on the disk is known only after a new start. */
  onFailure: (error: Error) => void;
}

/** The store record of the members' addresses; not a part of the core's state. */
export const addressesRecord = 'addresses';

const timingOf = (settings: Settings): Timing => ({
  refreshPeriodMs: settings.refreshPeriodMs,
  refreshJitter: settings.refreshJitter,
  minimumIntervalMs: settings.minimumIntervalMs,
  dealingWindowMs: settings.dealingWindowMs,
  roundTimeoutMs: settings.roundTimeoutMs,
  haveDelayMs: Math.min(200, Math.max(20, settings.dealingWindowMs / 10)),
  graceMs: Math.min(1_000, settings.roundTimeoutMs),
  resendMs: Math.min(1_000, settings.roundTimeoutMs),
  resendMaxMs: 10_000,
  recoveryHoldMs: settings.recoveryHoldMs,
});

export class Membership {
  readonly driver: Driver;
  readonly use: UseService;
  readonly transport: Libp2pTransport;
  readonly #options: MembershipOptions;
  #addresses: MemberAddress[];

  constructor(options: MembershipOptions) {
    const { home, settings, log, identity, store, workers, randomBytes, durable, onChange, onFailure } =
      options;
    const { listen, bootstrap, mdns } = settings;
    this.#options = options;
    this.#addresses = options.addresses;
    this.transport = new Libp2pTransport({
      identity,
      clusterId: hex(home.cluster),
      listen,
      bootstrap,
      mdns,
      log,
    });
    this.driver = new Driver({
      state: createCore({
        genesis: home.genesis,
        peer: this.transport.peerId,
        timing: timingOf(settings),
        gate: settings.gate,
        durable,
      }),
      store,
      transport: this.transport,
      compute: (job) => workers.compute(job),
      clock: systemClock,
      randomBytes,
      log,
      addressesOf: ({ peer }) => this.#addresses.find((known) => known.peer === peer)?.addresses ?? [],
      onRequest: (_from, request) => this.use.answer(request),
      onFailure,
    });
    this.use = new UseService({
      state: () => this.core,
      transport: this.transport,
      workers,
      clock: systemClock,
      log,
      onChange: (listener) => this.driver.onChange(listener),
    });
    this.driver.onChange(onChange);
  }

  get core(): CoreState {
    return this.driver.state;
  }

  /** `fresh`: the state was never stored. */
  start(options: { fresh: boolean }): Promise<void> {
    return this.driver.start(options);
  }

  async stop(): Promise<void> {
    await this.saveAddresses().catch(() => {}); // the store may be what failed
    await this.driver.stop();
  }

  ownAddresses(): string[] {
    const { settings } = this.#options;
    return reachableAddresses(settings.listen, settings.announce, this.transport.peerId);
  }

  /** Keeps where the members were found, for the next start. */
  async saveAddresses(): Promise<void> {
    const known = new Map(this.#addresses.map((entry) => [entry.peer, entry]));
    for (const entry of this.transport.memberAddresses())
      if (entry.addresses.length > 0) known.set(entry.peer, entry);
    const members = new Set(headOf(this.core).roster.map(({ peer }) => peer));
    this.#addresses = [...known.values()].filter(({ peer }) => members.has(peer));
    await this.#options.store.commit({ puts: [[addressesRecord, encode(this.#addresses)]], deletes: [] });
  }

  /**
   * What the lobby hands to a listed peer: founders get the chain from epoch 0, later joiners from the value that their
   * admission names; null when that is too long ago.
   */
  handOut(peer: string): HandOut | null {
    const order = this.core.durable.admissions[peer] ?? null;
    const links = this.linksFrom(order?.body.ancestorEpoch ?? 0);
    if (!links.some(({ value }) => value.roster.some((member) => member.peer === peer))) return null;
    const learned = this.transport.memberAddresses();
    const own = { peer: this.transport.peerId, addresses: this.ownAddresses() };
    return { order, links, addresses: [own, ...(learned.length > 0 ? learned : this.#addresses)] };
  }

  /** A bounded piece of the chain. */
  linksFrom(first: number): Link[] {
    const links: Link[] = [];
    for (let epoch = first; links.length < limits.linksPerFrameMax; epoch += 1) {
      const link = this.core.durable.links[epoch];
      if (link === undefined) break;
      links.push(link);
    }
    return links;
  }

  /** Throws `DaemonError('unknown')` when this peer knows nothing of the epoch that is asked for. */
  epochs(options: { epoch?: number; limit?: number }): EpochView[] {
    const newest = this.core.durable.own.head;
    const first = options.epoch ?? newest;
    const limit = options.epoch === undefined ? (options.limit ?? 20) : 1;
    const views: EpochView[] = [];
    for (let epoch = first; epoch >= 0 && views.length < limit; epoch -= 1) {
      const view = epochView(this.core, epoch);
      if (view === null) break;
      views.push(view);
    }
    if (views.length === 0)
      throw new DaemonError('unknown', `this peer knows nothing of epoch ${first}; the newest is ${newest}`);
    return views;
  }

  /** The attended plan that contains the order, the one with the most Attends. */
  creation(orderHash: Uint8Array): CreationView {
    const head = headLink(this.core);
    const plans = Object.entries(this.core.durable.plans)
      .filter(([, { orders }]) => orders.some((order) => sameBytes(hashOfOrder(order), orderHash)))
      .map(([plan, { orders }]) => ({
        plan: new Uint8Array(Buffer.from(plan, 'hex')),
        orders,
        attends: attendsOf(this.core, plan).map(({ carried }) => carried.packet),
      }))
      .sort((a, b) => b.attends.length - a.attends.length || b.orders.length - a.orders.length);
    const [best] = plans;
    return best === undefined ? { head, plan: null, attends: [], orders: [] } : { head, ...best };
  }

  /** The newest roster, and how each member can be reached. */
  peers(): PeerView[] {
    const connected = new Set(this.transport.connected());
    const authenticated = new Set(this.transport.authenticated());
    const addresses = new Map(this.transport.memberAddresses().map((entry) => [entry.peer, entry.addresses]));
    return headOf(this.core).roster.map(({ name, peer, index, epochKey }) => {
      const self = peer === this.transport.peerId;
      return {
        name,
        peer,
        epochKey: hex(epochKey),
        state: 'member',
        index,
        connected: self || connected.has(peer),
        authenticated: self || authenticated.has(peer),
        self,
        fingerprint: null,
        addresses: self ? this.ownAddresses() : (addresses.get(peer) ?? []),
      };
    });
  }
}
