/** A peer that is a member: core, driver, network and use of keys, and the views that come from them. */

import type { RandomBytes } from '../../keys/kind/shared-key.ts';
import { createCore } from '../../protocol/machine/create.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import { headOf, isSuspended, selfIn } from '../../protocol/machine/queries.ts';
import type { CoreState, Timing } from '../../protocol/machine/state.ts';
import { hex } from '../../protocol/records/codec.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Member } from '../../protocol/records/roster.ts';
import { encodeStored } from '../../protocol/records/stored.ts';
import { reachableAddresses } from '../addresses.ts';
import type { Audit } from '../audit/audit.ts';
import { systemClock } from '../clock.ts';
import { Driver } from '../driver/driver.ts';
import { DaemonError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import type { Identity } from '../home/identity.ts';
import type { Workers } from '../jobs/workers.ts';
import type { HandOut } from '../lobby/lobby-admissions.ts';
import type { Log } from '../log.ts';
import { Libp2pTransport } from '../network/libp2p-transport.ts';
import type { MemberAddress } from '../network/transport.ts';
import type { Settings } from '../settings.ts';
import type { Store } from '../store/store.ts';
import { UseService } from '../use/service.ts';
import { abilitiesIn } from '../views/ability.ts';
import { mayEvict } from '../views/advice.ts';
import { epochView } from '../views/daemon-views.ts';
import { notKeptHere } from '../views/keeping-problems.ts';
import { misconductProblems } from '../views/misconduct.ts';
import { sceneOf } from '../views/possible-orders.ts';
import { twinProblems } from '../views/twin-problems.ts';
import { VerificationKeys } from '../views/verification-keys.ts';
import type { Ability, EpochView, PeerView, Problem } from '../views/view.ts';

interface MembershipOptions {
  home: Home;
  settings: Settings;
  log: Log;
  identity: Identity;
  store: Store;
  workers: Workers;
  audit: Audit;
  randomBytes: RandomBytes;
  durable: Durable;
  /** The last known addresses of the other members. */
  addresses: MemberAddress[];
  onChange: () => void;
  /** The store failed. Only a new start shows the content of the disk. */
  onFailure: (error: Error) => void;
}

/** The store's record with the members' addresses. It is not part of the core's state. */
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

/** All parts of a running member. */
export class Membership {
  readonly driver: Driver;
  readonly use: UseService;
  readonly transport: Libp2pTransport;
  readonly #options: MembershipOptions;
  readonly #verificationKeys: VerificationKeys;
  #addresses: MemberAddress[];

  constructor(options: MembershipOptions) {
    const { home, settings, log, identity, store, workers, audit, randomBytes } = options;
    const { durable, onChange, onFailure } = options;
    const { listen, bootstrap, mdns } = settings;
    this.#options = options;
    this.#addresses = options.addresses;
    this.#verificationKeys = new VerificationKeys((link) =>
      workers.verificationKeys(link, home.genesis.membersMax),
    );
    this.transport = new Libp2pTransport({
      identity,
      clusterId: hex(home.cluster),
      listen,
      bootstrap,
      mdns,
      log,
      onTwins: () => this.#noteTwins(),
    });
    this.driver = new Driver({
      state: createCore({
        genesis: home.genesis,
        peer: this.transport.peerId,
        timing: timingOf(settings),
        gate: settings.gate,
        archiveEpochs: settings.archiveEpochsKept === 0 ? null : settings.archiveEpochsKept,
        durable,
      }),
      store,
      transport: this.transport,
      compute: (job) => workers.compute(job),
      clock: systemClock,
      randomBytes,
      log,
      addressesOf: ({ peer }) => this.#addresses.find((known) => known.peer === peer)?.addresses ?? [],
      onRequest: (from, request) => this.use.answer(from, request),
      onFailure,
    });
    this.use = new UseService({
      state: () => this.core,
      transport: this.transport,
      workers,
      partialsAtOnce: settings.workers + 1, // One more waits in the pool, so that no worker waits.
      clock: systemClock,
      log,
      randomBytes,
      onChange: (listener) => this.driver.onChange(listener),
      audit: (from, asked, answer) => audit.partial(from, asked, { value: headOf(this.core), answer }),
    });
    this.driver.onChange(onChange);
  }

  /** The newest durable state of the core. */
  get core(): CoreState {
    return this.driver.state;
  }

  /**
   * Starts the member. `fresh` says that its state was never stored.
   * @throws StoreError, ListenError (as a rejection)
   */
  async start(options: { fresh: boolean }): Promise<void> {
    await this.driver.start(options);
    const { log } = this.#options;
    await this.driver.archive.look();
    const { unreadable } = this.driver.archive;
    if (unreadable.length > 0)
      log.warn({ epoch: unreadable[0], count: unreadable.length }, 'the archive lacks values');
  }

  async stop(): Promise<void> {
    this.use.stop();
    await this.saveAddresses().catch(() => {}); // The store may be the part that failed.
    await this.driver.stop();
  }

  /** The wrong conduct of other members on the network, as this peer saw it. */
  misconduct(): Problem[] {
    const { roster } = headOf(this.core);
    const scene = () => sceneOf(this.core, this.#abilities());
    return misconductProblems(
      roster,
      this.transport.cutOffs(),
      this.use.penalties(),
      systemClock.wallMs(),
      (name) => mayEvict(scene(), name),
    );
  }

  #abilities(): Ability[] {
    return abilitiesIn(this.core, new Set(this.transport.authenticated()), this.doubled());
  }

  /** The peer ids of members that this peer meets on two machines. */
  doubled(): Set<string> {
    return new Set(this.transport.twins().met.map(({ peer }) => peer));
  }

  /**
   * Homes that run on two machines, this peer's own first. None when this peer is evicted, because then it is
   * no part of the group.
   */
  twins(): Problem[] {
    if (selfIn(this.core) === undefined) return [];

    // The key in this peer's store may be an old one. When other members accept it, it is the newest.
    const proven = this.transport.authenticated().length > 0;
    return twinProblems(headOf(this.core).roster, this.transport.twins(), proven);
  }

  #noteTwins(): void {
    const { audit, onChange } = this.#options;
    audit.note({ event: 'two-machines', what: this.twins().map(({ what }) => what) });
    onChange();
  }

  /** The multiaddrs under which others reach this peer. */
  ownAddresses(): string[] {
    const { settings } = this.#options;
    return reachableAddresses(settings.listen, settings.announce, this.transport.peerId);
  }

  /** Stores the members' addresses for the next start. */
  async saveAddresses(): Promise<void> {
    const known = new Map(this.#addresses.map((entry) => [entry.peer, entry]));
    for (const entry of this.transport.memberAddresses())
      if (entry.addresses.length > 0) known.set(entry.peer, entry);
    const members = new Set(headOf(this.core).roster.map(({ peer }) => peer));
    this.#addresses = [...known.values()].filter(({ peer }) => members.has(peer));
    await this.#options.store.commit({
      puts: [[addressesRecord, encodeStored(this.#addresses)]],
      deletes: [],
    });
  }

  /** The lobby's hand-out for a listed peer, with the addresses of members. Null where the driver has none. */
  async handOut(peer: string): Promise<HandOut | null> {
    const handed = await this.driver.handOut(peer);
    if (handed === null) return null;
    const learned = this.transport.memberAddresses();
    const own = { peer: this.transport.peerId, addresses: this.ownAddresses() };
    return { ...handed, addresses: [own, ...(learned.length > 0 ? learned : this.#addresses)] };
  }

  /**
   * Whether a newcomer may ask for this member's place under its name (§5, "Reinstating"): the member is
   * suspended, or away.
   */
  isVacant({ index, peer }: Member): boolean {
    if (peer === this.transport.peerId) return false;
    return isSuspended(this.core, index) || !this.transport.authenticated().includes(peer);
  }

  /**
   * A bounded piece of the chain, from epoch `first` on.
   * @throws DaemonError (as a rejection) `unknown` when this peer no longer has it. The message names members
   * that say they have it
   */
  async linksFrom(first: number): Promise<Link[]> {
    const links = await this.driver.archive.linksFrom(first);
    if (links.length > 0 || first > this.core.durable.own.head) return links;
    throw new DaemonError('unknown', notKeptHere(this.core, first));
  }

  /** The newest epochs that are known here, newest first. */
  async epochs(limit = 20): Promise<EpochView[]> {
    const views: EpochView[] = [];
    const { head, oldest } = this.core.durable.own;
    for (let epoch = head; epoch >= oldest && views.length < limit; epoch -= 1) {
      const records = await this.driver.archive.records(epoch);
      if (records !== null) views.push(epochView(this.core, records, systemClock.wallMs()));
    }
    return views;
  }

  /**
   * One epoch with its verification keys.
   * @throws DaemonError (as a rejection) `unknown` when this peer does not know the epoch
   */
  async epoch(epoch: number): Promise<EpochView> {
    const records = await this.driver.archive.records(epoch);
    if (records === null)
      throw new DaemonError(
        'unknown',
        `this peer knows nothing of epoch ${epoch}; the newest is ${this.core.durable.own.head}`,
      );
    return {
      ...epochView(this.core, records, systemClock.wallMs()),
      verificationKeys: await this.#verificationKeys.of(records.link),
    };
  }

  /** The newest roster, and how each member can be reached. */
  peers(): PeerView[] {
    const connected = new Set(this.transport.connected());
    const authenticated = new Set(this.transport.authenticated());
    const abilities = this.#abilities();
    const addresses = new Map(this.transport.memberAddresses().map((entry) => [entry.peer, entry.addresses]));
    return headOf(this.core).roster.map(({ name, peer, index, epochKey }, at) => {
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
        ability: abilities[at] ?? null,
      };
    });
  }
}
