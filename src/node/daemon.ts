/**
 * The daemon: composes store, workers, network, lobby, driver and the use of keys, first as a peer that waits for
 * admission, then as a member. What it shows is in `daemon-views.ts`; what it serves is `DaemonApi`.
 */
import { randomBytes } from 'node:crypto';
import { decode as cborDecode } from 'cborg';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { fingerprintOf, invitationText } from '../protocol/admission.ts';
import { encode, hex, sameBytes } from '../protocol/codec.ts';
import { createCore, foundDurable, joinDurable } from '../protocol/create.ts';
import { durableFromRecords } from '../protocol/durable-records.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { limits } from '../protocol/limits.ts';
import type { Link } from '../protocol/link.ts';
import { hashOfOrder, type Order } from '../protocol/order.ts';
import type { Packet } from '../protocol/packet.ts';
import { attendsOf, headLink, headOf } from '../protocol/queries.ts';
import type { Durable, Timing } from '../protocol/state.ts';
import type { DecryptBody, SignBody, UseRequest } from '../protocol/use-request.ts';
import { reachableAddresses } from './addresses.ts';
import { systemClock } from './clock.ts';
import { epochView, keyViews, statusView } from './daemon-views.ts';
import { Driver } from './driver.ts';
import { type Home, replacePrivateFile } from './home.ts';
import { admissionOf, type HandOut, LobbyService, waitInLobby } from './lobby-service.ts';
import type { Log } from './log.ts';
import { type Identity, identityFromBytes, peerIdOf } from './network/identity.ts';
import { Libp2pTransport } from './network/libp2p-transport.ts';
import type { MemberAddress } from './network/transport.ts';
import type { Settings } from './settings.ts';
import { FileStore } from './store/file-store.ts';
import { UseService } from './use-service.ts';
import {
  type CreationView,
  type DaemonApi,
  DaemonError,
  type DecryptAnswer,
  type EpochView,
  type KeyView,
  type PeerView,
  type SignAnswer,
  type StatusView,
} from './view.ts';
import { startWorkers, type Workers } from './workers.ts';

export interface DaemonOptions {
  home: Home;
  settings: Settings;
  log: Log;
}

export interface Daemon extends DaemonApi {
  readonly peer: string;
  /** Resolves with the error that ended the daemon's work (a store that fails); stays open otherwise. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

/** After founding, and after a start in epoch 0, the lobby stays open this long for those who were admitted. */
const lobbyAfterFoundingMs = 10 * 60_000;
const addressesRecord = 'addresses';
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

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

/** Starts a peer: as a member when its store knows a value, else as one that waits for admission. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const daemon = new HoldfastDaemon(options);
  try {
    await daemon.start();
  } catch (error) {
    await daemon.stop();
    throw error;
  }
  return daemon;
}

interface Membership {
  driver: Driver;
  transport: Libp2pTransport;
  use: UseService;
}

class HoldfastDaemon implements Daemon {
  readonly peer: string;
  readonly failed: Promise<Error>;
  readonly #home: Home;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #identity: Identity;
  readonly #store: FileStore;
  readonly #workers: Workers;
  readonly #lobby: LobbyService;
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #fail: (error: Error) => void = () => {};
  #storeOpen = false;
  #member: Membership | null = null;
  #addresses: MemberAddress[] = [];
  #waitingIn: Promise<void> = Promise.resolve();
  #lobbyState = 'asking';
  #change = { epoch: -1, sinceMs: 0 };

  constructor({ home, settings, log }: DaemonOptions) {
    this.#home = home;
    this.#settings = settings;
    this.#log = log;
    this.#identity = identityFromBytes(home.readIdentity());
    this.peer = peerIdOf(this.#identity);
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#store = new FileStore({ folder: home.storeDir, cipher: settings.cipher, randomBytes: random });
    this.#workers = startWorkers({ threads: settings.workers, cipher: settings.cipher });
    this.#lobby = new LobbyService({
      genesis: home.genesis,
      identity: identityFromBytes(home.readLobbyIdentity()),
      listen: settings.lobbyListen,
      clock: systemClock,
      log,
      admitted: () => this.#admitted(),
      onChange: () => this.#changed(),
    });
  }

  async start(): Promise<void> {
    const records = await this.#store.open();
    this.#storeOpen = true;
    const known = records.get(addressesRecord);
    if (known !== undefined) this.#addresses = cborDecode(known) as MemberAddress[];
    if (records.has('own')) {
      await this.#join(durableFromRecords(records), { fresh: false });
      this.#home.eraseFirstEpochSeed();
      if (headOf(this.#core()).epoch === 0 && this.#isFounder()) await this.#lobby.open(lobbyAfterFoundingMs);
      return;
    }
    if (this.#isFounder()) await this.#lobby.open(null);
    else this.#waitingIn = this.#wait();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#waitingIn;
    await this.#lobby.close();
    if (this.#member !== null) {
      await this.#saveAddresses().catch(() => {});
      await this.#member.driver.stop();
    }
    if (this.#storeOpen) await this.#store.close();
    await this.#workers.stop();
  }

  /** The invitation of a founder names its own lobby. */
  #isFounder(): boolean {
    const lobbyPeer = peerIdOf(identityFromBytes(this.#home.readLobbyIdentity()));
    return this.#home.invitation.lobby.some((address) => address.endsWith(`/p2p/${lobbyPeer}`));
  }

  // ── becoming a member ──────────────────────────────────────────────────────────────────────────────────────────────

  #epochSeed(): Uint8Array {
    const seed = this.#home.readFirstEpochSeed();
    if (seed === null)
      throw new DaemonError('refused', 'this home has no first epoch key; join again with a new home');
    return seed;
  }

  #ownAddresses(): string[] {
    return reachableAddresses(this.#settings.listen, this.#settings.announce, this.peer);
  }

  async #wait(): Promise<void> {
    const admission = admissionOf({
      cluster: this.#home.cluster,
      name: this.#settings.name,
      identity: this.#identity,
      epochSeed: this.#epochSeed(),
      addresses: this.#ownAddresses(),
    });
    const answer = await waitInLobby({
      invitation: this.#home.invitation,
      admission,
      identity: this.#identity,
      clock: systemClock,
      log: this.#log,
      signal: this.#stopping.signal,
      onAnswer: (heard) => {
        const now = heard === null ? 'silent' : heard.status === 'refused' ? heard.reason : heard.status;
        if (now === this.#lobbyState) return;
        this.#lobbyState = now;
        this.#changed();
      },
    });
    if (answer === null) return;
    try {
      if (answer.order === null) await this.#foundWith(answer.links[0] as Link, answer.addresses);
      else await this.#joinWith(answer.order, answer.links, answer.addresses);
    } catch (error) {
      this.#log.error({ err: error }, 'the lobby sent a chain that is not true');
      this.#lobbyState = 'the lobby sent a chain that is not true';
      this.#changed();
    }
  }

  async found(link: Link): Promise<void> {
    if (this.#member !== null) throw new DaemonError('refused', 'this cluster is founded already');
    const waiting = this.#lobby.waiting().map(({ body }) => ({ peer: body.peer, addresses: body.addresses }));
    await this.#foundWith(link, waiting);
    await this.#lobby.open(lobbyAfterFoundingMs);
  }

  async #foundWith(link: Link, addresses: MemberAddress[]): Promise<void> {
    const seed = this.#epochSeed();
    const { publicKey } = ed25519FromSeed(seed);
    const durable = foundDurable(this.#home.genesis, link, { publicKey, seed }, systemClock.wallMs());
    const self = link.value.roster.find((member) => member.peer === this.peer);
    if (self === undefined || !sameBytes(self.epochKey, publicKey))
      throw new DaemonError('refused', 'the roster does not list this peer with its first epoch key');
    await this.#become(durable, addresses);
  }

  /** Admitted while the group runs: the share comes by recovery, by itself. */
  async #joinWith(order: Order, links: Link[], addresses: MemberAddress[]): Promise<void> {
    const seed = this.#epochSeed();
    const { publicKey } = ed25519FromSeed(seed);
    const durable = joinDurable({
      genesis: this.#home.genesis,
      peer: this.peer,
      order,
      links,
      epochKey: { publicKey, seed },
      wallMs: systemClock.wallMs(),
    });
    replacePrivateFile(this.#home.admissionFile, encode(order));
    await this.#become(durable, addresses);
  }

  async #become(durable: Durable, addresses: MemberAddress[]): Promise<void> {
    this.#addresses = addresses;
    await this.#join(durable, { fresh: true });
    await this.#saveAddresses();
    this.#home.eraseFirstEpochSeed();
  }

  async #join(durable: Durable, options: { fresh: boolean }): Promise<void> {
    const { genesis, cluster } = this.#home;
    const { listen, bootstrap, mdns } = this.#settings;
    const transport = new Libp2pTransport({
      identity: this.#identity,
      clusterId: hex(cluster),
      listen,
      bootstrap,
      mdns,
      log: this.#log,
    });
    const state = createCore({
      genesis,
      peer: this.peer,
      timing: timingOf(this.#settings),
      gate: this.#settings.gate,
      durable,
    });
    const driver: Driver = new Driver({
      state,
      store: this.#store,
      transport,
      compute: (job) => this.#workers.compute(job),
      clock: systemClock,
      randomBytes: random,
      log: this.#log,
      addressesOf: ({ peer }) => this.#addresses.find((known) => known.peer === peer)?.addresses ?? [],
      onRequest: (_from, request) => use.answer(request),
      onFailure: (error) => {
        this.#log.error({ err: error }, 'the daemon cannot go on');
        this.#fail(error);
      },
    });
    const use = new UseService({
      state: () => driver.state,
      transport,
      workers: this.#workers,
      clock: systemClock,
      log: this.#log,
      onChange: (listener) => this.onChange(listener),
    });
    driver.onChange(() => this.#changed());
    await driver.start(options);
    this.#member = { driver, transport, use };
    this.#changed();
  }

  async #saveAddresses(): Promise<void> {
    const learned = this.#member?.transport.memberAddresses() ?? [];
    const known = new Map(this.#addresses.map((entry) => [entry.peer, entry]));
    for (const entry of learned) if (entry.addresses.length > 0) known.set(entry.peer, entry);
    const members = new Set(this.#member === null ? [] : headOf(this.#core()).roster.map(({ peer }) => peer));
    this.#addresses = [...known.values()].filter(({ peer }) => members.has(peer));
    await this.#store.commit({ puts: [[addressesRecord, encode(this.#addresses)]], deletes: [] });
  }

  /** The newest roster for the lobby, and what it hands to a peer that the roster lists. */
  #admitted() {
    if (this.#member === null) return null;
    const core = this.#core();
    return {
      roster: headOf(core).roster,
      epoch: core.durable.own.head,
      handOut: (peer: string) => this.#handOut(peer),
    };
  }

  /** Founders get the chain from epoch 0, later joiners from the value that their admission names; null if too long. */
  #handOut(peer: string): HandOut | null {
    const { durable } = this.#core();
    const order = durable.admissions[peer] ?? null;
    const from = order?.body.ancestorEpoch ?? 0;
    const links: Link[] = [];
    for (let epoch = from; epoch <= durable.own.head && links.length < limits.linksPerFrameMax; epoch += 1) {
      const link = durable.links[epoch];
      if (link === undefined) break;
      links.push(link);
    }
    const listed = links.findIndex(({ value }) => value.roster.some((member) => member.peer === peer));
    if (listed < 0) return null;
    const learned = this.#member?.transport.memberAddresses() ?? [];
    const addresses = [
      { peer: this.peer, addresses: this.#ownAddresses() },
      ...(learned.length > 0 ? learned : this.#addresses),
    ];
    return { order, links, addresses };
  }

  #membership(): Membership {
    if (this.#member === null)
      throw new DaemonError(
        'not-a-member',
        'this peer waits for admission: the operator must admit it first',
      );
    return this.#member;
  }
  #core() {
    return this.#membership().driver.state;
  }

  // ── DaemonApi ──────────────────────────────────────────────────────────────────────────────────────────────────────

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  status(): StatusView {
    const { name, cipher } = this.#settings;
    if (this.#member === null) return this.#waitingStatus();
    const core = this.#core();
    const about =
      core.durable.own.retired < core.durable.own.head ? core.durable.own.head : core.durable.own.head + 1;
    if (this.#change.epoch !== about) this.#change = { epoch: about, sinceMs: systemClock.wallMs() };
    return statusView(core, {
      name,
      cipher,
      fingerprint: null,
      reachable: new Set(this.#member.transport.authenticated()),
      changeSinceMs: this.#change.sinceMs,
      nowMs: systemClock.nowMs(),
      wallMs: systemClock.wallMs(),
    });
  }

  #fingerprint(): string {
    const { publicKey } = ed25519FromSeed(this.#epochSeed());
    return fingerprintOf({ cluster: this.#home.cluster, peer: this.peer, epochKey: publicKey });
  }

  #waitingStatus(): StatusView {
    const { genesis, cluster } = this.#home;
    const founder = this.#isFounder();
    const waiting = this.#lobby.waiting().length + 1;
    const what = founder
      ? `The cluster is not founded yet: ${waiting} of at least ${genesis.threshold} peers wait.`
      : `This peer waits for admission (${this.#lobbyState}).`;
    const remedy = founder
      ? 'Let the others join, then run `holdfast admit`.'
      : 'Let the operator compare the fingerprint and admit it.';
    return {
      name: this.#settings.name,
      peer: this.peer,
      cluster: hex(cluster),
      clusterName: genesis.name,
      state: 'waiting-for-admission',
      index: null,
      fingerprint: this.#fingerprint(),
      cipher: this.#settings.cipher,
      gate: this.#settings.gate,
      epoch: null,
      threshold: genesis.threshold,
      members: 0,
      faults: 0,
      quorum: 0,
      faultModel: genesis.faultModel,
      choice: null,
      keys: 0,
      shareEpochs: [],
      connected: [],
      lastChangeAtMs: null,
      nextRefreshAtMs: null,
      change: null,
      problems: [{ code: 'waiting-for-admission', what, remedy }],
    };
  }

  peers(): PeerView[] {
    const waiting: PeerView[] = this.#lobby.waiting().map(({ body, fingerprint }) => ({
      name: body.name,
      peer: body.peer,
      epochKey: hex(body.epochKey),
      state: 'waiting',
      index: null,
      connected: false,
      authenticated: false,
      self: false,
      fingerprint,
      addresses: body.addresses,
    }));
    if (this.#member === null) {
      const { publicKey } = ed25519FromSeed(this.#epochSeed());
      const self: PeerView = {
        name: this.#settings.name,
        peer: this.peer,
        epochKey: hex(publicKey),
        state: 'waiting',
        index: null,
        connected: true,
        authenticated: true,
        self: true,
        fingerprint: this.#fingerprint(),
        addresses: this.#ownAddresses(),
      };
      return [self, ...waiting];
    }
    const { transport } = this.#member;
    const connected = new Set(transport.connected());
    const authenticated = new Set(transport.authenticated());
    const addresses = new Map(transport.memberAddresses().map((entry) => [entry.peer, entry.addresses]));
    const members: PeerView[] = headOf(this.#core()).roster.map((member) => {
      const self = member.peer === this.peer;
      return {
        name: member.name,
        peer: member.peer,
        epochKey: hex(member.epochKey),
        state: 'member',
        index: member.index,
        connected: self || connected.has(member.peer),
        authenticated: self || authenticated.has(member.peer),
        self,
        fingerprint: null,
        addresses: self ? this.#ownAddresses() : (addresses.get(member.peer) ?? []),
      };
    });
    return [...members, ...waiting];
  }

  async epochs(options: { epoch?: number; limit?: number } = {}): Promise<EpochView[]> {
    const core = this.#core();
    const newest = core.durable.own.head;
    const first = options.epoch ?? newest;
    const limit = options.epoch === undefined ? (options.limit ?? 20) : 1;
    const views: EpochView[] = [];
    for (let epoch = first; epoch >= 0 && views.length < limit; epoch -= 1) {
      const view = epochView(core, epoch);
      if (view === null) break;
      views.push(view);
    }
    if (views.length === 0)
      throw new DaemonError('unknown', `this peer knows nothing of epoch ${first}; the newest is ${newest}`);
    return views;
  }

  keys(): KeyView[] {
    return keyViews(this.#core());
  }

  async invite(openForMs: number): Promise<string> {
    await this.#lobby.open(openForMs);
    const lobbyPeer = peerIdOf(identityFromBytes(this.#home.readLobbyIdentity()));
    const lobby = reachableAddresses(this.#settings.lobbyListen, this.#settings.lobbyAnnounce, lobbyPeer);
    return invitationText({ genesis: this.#home.genesis, lobby });
  }

  async submitOrder(order: Order): Promise<void> {
    await refusable(() => this.#membership().driver.submitOrder(order));
  }

  creation(orderHash: Uint8Array): CreationView {
    const core = this.#core();
    const head = headLink(core);
    const plans = Object.entries(core.durable.plans)
      .filter(([, { orders }]) => orders.some((order) => sameBytes(hashOfOrder(order), orderHash)))
      .map(([plan, { orders }]) => ({
        plan,
        orders,
        attends: attendsOf(core, plan).map(({ carried }) => carried.packet),
      }))
      .sort((a, b) => b.attends.length - a.attends.length || b.orders.length - a.orders.length);
    const best = plans[0];
    if (best === undefined) return { head, plan: null, attends: [], orders: [] };
    return {
      head,
      plan: new Uint8Array(Buffer.from(best.plan, 'hex')),
      attends: best.attends,
      orders: best.orders,
    };
  }

  async submitDealings(packets: readonly Packet[]): Promise<void> {
    await this.#membership().driver.submitDealings([...packets]);
  }

  async links(from: number): Promise<Link[]> {
    const { links } = this.#core().durable;
    const found: Link[] = [];
    for (let epoch = from; found.length < limits.linksPerFrameMax; epoch += 1) {
      const link = links[epoch];
      if (link === undefined) break;
      found.push(link);
    }
    return found;
  }

  refresh(): void {
    this.#membership().driver.refresh();
  }

  async sign(request: UseRequest<SignBody>, timeoutMs: number): Promise<SignAnswer> {
    return this.#membership().use.sign(request, timeoutMs);
  }

  async decrypt(
    request: UseRequest<DecryptBody>,
    options: { prove: boolean; timeoutMs: number },
  ): Promise<DecryptAnswer> {
    return this.#membership().use.decrypt(request, options);
  }
}

/** Protocol errors of what a caller handed in are refusals, not faults of the daemon. */
async function refusable<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ProtocolError) throw new DaemonError('refused', error.message, { code: error.code });
    throw error;
  }
}
