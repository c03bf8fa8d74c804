/**
 * The daemon: composes store, workers, network, lobby, driver and the use of keys, first as a peer that waits for
 * admission, then as a member. What it shows is in `daemon-views.ts`; what it serves is `DaemonApi`.
 */
import { randomBytes } from 'node:crypto';
import { decode as cborDecode } from 'cborg';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { invitationText } from '../protocol/admission.ts';
import { encode, sameBytes } from '../protocol/codec.ts';
import { foundDurable, joinDurable } from '../protocol/create.ts';
import { durableFromRecords } from '../protocol/durable-records.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { Link } from '../protocol/link.ts';
import type { Order } from '../protocol/order.ts';
import type { Packet } from '../protocol/packet.ts';
import { headOf } from '../protocol/queries.ts';
import type { Durable } from '../protocol/state.ts';
import type { DecryptBody, SignBody, UseRequest } from '../protocol/use-request.ts';
import { reachableAddresses } from './addresses.ts';
import { systemClock } from './clock.ts';
import { keyViews, statusView } from './daemon-views.ts';
import { type Home, replacePrivateFile } from './home.ts';
import { admissionOf, LobbyService, waitInLobby } from './lobby-service.ts';
import type { Log } from './log.ts';
import { addressesRecord, Membership } from './membership.ts';
import { type Identity, identityFromBytes, peerIdOf } from './network/identity.ts';
import type { MemberAddress } from './network/transport.ts';
import type { Settings } from './settings.ts';
import { FileStore } from './store/file-store.ts';
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
import {
  type WaitingSelf,
  waitingPeerView,
  waitingProblem,
  waitingSelfView,
  waitingStatusView,
} from './waiting-views.ts';
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
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

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
    await this.#member?.stop();
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
    const member = await this.#join(durable, { fresh: true });
    await member.saveAddresses();
    this.#home.eraseFirstEpochSeed();
  }

  async #join(durable: Durable, options: { fresh: boolean }): Promise<Membership> {
    const member = new Membership({
      home: this.#home,
      settings: this.#settings,
      log: this.#log,
      identity: this.#identity,
      store: this.#store,
      workers: this.#workers,
      randomBytes: random,
      durable,
      addresses: this.#addresses,
      onChange: () => this.#changed(),
      onFailure: (error) => {
        this.#log.error({ err: error }, 'the daemon cannot go on');
        this.#fail(error);
      },
    });
    await member.start(options);
    this.#member = member;
    this.#changed();
    return member;
  }

  /** The newest roster for the lobby, and what it hands to a peer that the roster lists. */
  #admitted() {
    const member = this.#member;
    if (member === null) return null;
    const { roster, epoch } = headOf(member.core);
    return { roster, epoch, handOut: (peer: string) => member.handOut(peer) };
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
    return this.#membership().core;
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

  #waitingSelf(): WaitingSelf {
    return {
      home: this.#home,
      settings: this.#settings,
      peer: this.peer,
      epochSeed: this.#epochSeed(),
      addresses: this.#ownAddresses(),
    };
  }

  #waitingStatus(): StatusView {
    const problem = waitingProblem({
      founder: this.#isFounder(),
      waiting: this.#lobby.waiting().length + 1,
      threshold: this.#home.genesis.threshold,
      lobby: this.#lobbyState,
    });
    return waitingStatusView(this.#waitingSelf(), problem);
  }

  peers(): PeerView[] {
    const listed = this.#member?.peers() ?? [waitingSelfView(this.#waitingSelf())];
    return [...listed, ...this.#lobby.waiting().map(waitingPeerView)];
  }

  async epochs(options: { epoch?: number; limit?: number } = {}): Promise<EpochView[]> {
    return this.#membership().epochs(options);
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
    return this.#membership().creation(orderHash);
  }

  async submitDealings(packets: readonly Packet[]): Promise<void> {
    await this.#membership().driver.submitDealings([...packets]);
  }

  async links(from: number): Promise<Link[]> {
    return this.#membership().linksFrom(from);
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
