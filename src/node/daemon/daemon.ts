/**
 * The daemon. It puts together store, workers, network, lobby, driver and the use of keys: first as a
 * newcomer (`newcomer.ts`), then as a member (`membership.ts`). `daemon-views.ts` makes its views.
 * `DaemonApi` is its interface.
 */
import { randomBytes } from 'node:crypto';
import { durableFromRecords } from '../../protocol/machine/durable-records.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import { invitationText } from '../../protocol/records/admission.ts';
import { hex } from '../../protocol/records/codec.ts';
import { isOfOtherVersion, ProtocolError } from '../../protocol/records/errors.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Order } from '../../protocol/records/order.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import type { Member } from '../../protocol/records/roster.ts';
import { decodeStored } from '../../protocol/records/stored.ts';
import type { DecryptBody, SignBody, UseRequest } from '../../protocol/records/use-request.ts';
import { reachableAddresses } from '../addresses.ts';
import { Audit, auditRecord } from '../audit/audit.ts';
import { checkEndVersion } from '../audit/end.ts';
import type { AuditExtent } from '../audit/entry.ts';
import { systemClock } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import { type Identity, identityFromBytes, peerIdOf } from '../home/identity.ts';
import { startWorkers, type Workers } from '../jobs/workers.ts';
import { LobbyAdmissions } from '../lobby/lobby-admissions.ts';
import type { Log } from '../log.ts';
import { HeldPorts } from '../network/held-ports.ts';
import { ListenError } from '../network/listen-error.ts';
import type { MemberAddress } from '../network/transport.ts';
import type { Settings } from '../settings.ts';
import { FileStore } from '../store/file-store.ts';
import { StoreError } from '../store/store-error.ts';
import type { DecryptAnswer, SignAnswer } from '../use/answers.ts';
import { creationView, keyViews, newestEpochViews, planViews, statusView } from '../views/daemon-views.ts';
import { isLarge, keepingProblems } from '../views/keeping-problems.ts';
import { MachineTroubles } from '../views/machine-troubles.ts';
import { foremostFirst } from '../views/problems.ts';
import type {
  CreationView,
  DaemonApi,
  EpochView,
  KeyView,
  PeerView,
  PlanView,
  StatusView,
} from '../views/view.ts';
import { waitingPeerView } from '../views/waiting-views.ts';
import { addressesRecord, Membership } from './membership.ts';
import { Newcomer } from './newcomer.ts';

interface DaemonOptions {
  home: Home;
  settings: Settings;
  log: Log;
}

/** A running peer. `DaemonApi` says what each method does. */
export interface Daemon extends DaemonApi {
  readonly peer: string;
  /** Resolves with the error that ended the daemon's work (a failed store). Until then it stays open. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

/** After the founding, and after a start in epoch 0, the lobby stays open so long for the admitted peers. */
const lobbyAfterFoundingMs = 10 * 60_000;
/** The pause between two tries to write to a disk that took nothing. */
const writeRetryMs = 2000;
const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

/**
 * Starts a peer. It is a member when its store knows a value, and otherwise a newcomer that waits for
 * admission.
 * @throws StoreError, HomeError, ListenError, DaemonError (as a rejection)
 */
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
  readonly #lobby: LobbyAdmissions;
  readonly #newcomer: Newcomer;
  readonly #listeners = new Set<() => void>();
  readonly #stopping = new AbortController();
  #fail: (error: Error) => void = () => {};
  readonly #troubles: MachineTroubles;
  #storeOpen = false;
  #storeLarge = false;
  /** As the store had it at the start. Null when this peer was no member then. */
  #durable: Durable | null = null;
  #audit: Audit | null = null;
  #member: Membership | null = null;
  #addresses: MemberAddress[] = [];
  /**
   * The ports on which this peer will listen as a member. While it waits for admission, no other program gets
   * them.
   */
  #held: HeldPorts | null = null;
  #waitingIn: Promise<void> = Promise.resolve();

  constructor({ home, settings, log }: DaemonOptions) {
    this.#home = home;
    this.#settings = settings;
    this.#log = log;
    this.#identity = identityFromBytes(home.readIdentity());
    this.peer = peerIdOf(this.#identity);
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#troubles = new MachineTroubles({ clock: systemClock, log, onChange: () => this.#changed() });
    this.#store = new FileStore({
      folder: home.storeDir,
      cipher: settings.cipher,
      randomBytes: random,
      check: async (records) => {
        this.#durable = this.#durableIn(records);
        await checkEndVersion(home.auditDir);
      },
      patience: {
        until: this.#stopping.signal,
        retryMs: writeRetryMs,
        onTrouble: (error) => this.#troubles.report('store', error),
      },
    });
    this.#workers = startWorkers({ threads: settings.workers, cipher: settings.cipher });
    this.#lobby = new LobbyAdmissions({
      genesis: home.genesis,
      identity: identityFromBytes(home.readLobbyIdentity()),
      listen: settings.lobbyListen,
      clock: systemClock,
      log,
      admitted: () => this.#admitted(),
      onChange: () => this.#changed(),
    });
    this.#newcomer = new Newcomer({
      ...{ home, settings, log, identity: this.#identity },
      become: (durable, addresses) => this.#become(durable, addresses),
      onChange: () => this.#changed(),
      onFailure: (error) => this.#fail(error),
    });
  }

  async start(): Promise<void> {
    const records = await this.#store.open();
    this.#storeOpen = true;
    this.#audit = await this.#openAudit(records.get(auditRecord));
    this.#troubles.watch(this.#audit);
    const known = records.get(addressesRecord);
    if (known !== undefined) this.#addresses = decodeStored(known) as MemberAddress[];
    const durable = this.#durable;
    this.#durable = null;
    if (durable !== null) {
      await this.#tryLobby().catch((error: unknown) => {
        if (!(error instanceof ListenError)) throw error;
        this.#troubles.reportLobby(error);
      });
      await this.#join(durable, { fresh: false });
      this.#home.eraseFirstEpochSeed();
      if (headOf(this.#core()).epoch === 0 && this.#newcomer.isFounder)
        await this.#lobby.open(lobbyAfterFoundingMs);
      return;
    }
    // A founder asks nobody. But without its first epoch key it cannot found anything: then its store was
    // taken away.
    const admission = this.#newcomer.admission();
    await this.#tryLobby();
    await this.#holdPorts();
    if (this.#newcomer.isFounder) await this.#lobby.open(null);
    else this.#waitingIn = this.#newcomer.wait(admission, this.#stopping.signal);
  }

  /**
   * The durable state in the store's records. Null before this peer is a member.
   * @throws StoreError `other-version` when a record is of a later version
   */
  #durableIn(records: ReadonlyMap<string, Uint8Array>): Durable | null {
    try {
      for (const record of records.values()) decodeStored(record);
      return records.has('own') ? durableFromRecords(records) : null;
    } catch (error) {
      if (!isOfOtherVersion(error)) throw error;
      throw new StoreError('other-version', `${this.#home.storeDir} is whole, but ${error.message}`);
    }
  }

  /** Tries the lobby's ports. @throws ListenError (as a rejection) when the lobby could not open here */
  async #tryLobby(): Promise<void> {
    const ports = await HeldPorts.take('the lobby', this.#settings.lobbyListen);
    await ports.release();
  }

  /**
   * Takes the ports of this peer as a member.
   * @throws ListenError (as a rejection) when it could not listen there
   */
  async #holdPorts(): Promise<void> {
    this.#held = await HeldPorts.take('the daemon', this.#settings.listen);
  }

  /** Opens the audit log. The line of this start names the process, the cluster and the peer. */
  async #openAudit(remembered: Uint8Array | undefined): Promise<Audit> {
    const audit = await Audit.open({
      folder: this.#home.auditDir,
      fileBytesMax: this.#settings.auditFileBytesMax,
      filesKept: this.#settings.auditFilesKept,
      clock: systemClock,
      remembered,
      remember: (record) => this.#store.commit({ puts: [[auditRecord, record]], deletes: [] }),
      onTrouble: (error) => this.#troubles.report('audit', error),
      retryMs: writeRetryMs,
    });
    audit.note({ event: 'start', pid: process.pid, cluster: hex(this.#home.cluster), peer: this.peer });
    return audit;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#troubles.stop();
    await this.#waitingIn;
    await this.#lobby.close();
    await this.#member?.stop();
    await this.#held?.release();
    await this.#audit?.close();
    if (this.#storeOpen) await this.#store.close();
    await this.#workers.stop();
  }

  // ── becoming a member ──────────────────────────────────────────────────────────────────────────────────

  async found(link: Link): Promise<void> {
    if (this.#member !== null) throw new DaemonError('refused', 'this cluster is founded already');
    const waiting = this.#lobby.waiting().map(({ body }) => ({ peer: body.peer, addresses: body.addresses }));
    try {
      await this.#newcomer.found(link, waiting);
    } catch (error) {
      if (error instanceof ProtocolError || error instanceof DaemonError || error instanceof StoreError)
        throw error;
      this.#log.error({ err: error }, 'the cluster could not be founded');
      throw new DaemonError('not-founded', `the cluster is not founded: ${(error as Error).message}`);
    }
    await this.#lobby.open(lobbyAfterFoundingMs);
  }

  async #become(durable: Durable, addresses: MemberAddress[]): Promise<void> {
    this.#addresses = addresses;
    const member = this.#member ?? (await this.#join(durable, { fresh: true }));
    await member.saveAddresses();
    this.#home.eraseFirstEpochSeed();
  }

  /** Starts this peer as a member. A start that fails leaves the peer as it was, so it can be tried again. */
  async #join(durable: Durable, options: { fresh: boolean }): Promise<Membership> {
    await this.#held?.release();
    this.#held = null;
    const member = new Membership({
      home: this.#home,
      settings: this.#settings,
      log: this.#log,
      identity: this.#identity,
      store: this.#store,
      workers: this.#workers,
      audit: this.#openedAudit(),
      randomBytes: random,
      durable,
      addresses: this.#addresses,
      onChange: () => {
        this.#watchStore();
        if (this.#member !== null) this.#openedAudit().look(this.#member.core);
        this.#changed();
      },
      onFailure: (error) => {
        if (this.#stopping.signal.aborted) return; // The stop itself ended the wait for the disk.
        this.#log.error({ err: error }, 'the daemon cannot go on');
        this.#fail(error);
      },
    });
    try {
      await member.start(options);
    } catch (error) {
      await member.stop();
      // The first error is the one that is reported. The port is held again once it is free.
      if (options.fresh) await this.#holdPorts().catch(() => {});
      throw error;
    }
    this.#member = member;
    this.#openedAudit().look(member.core);
    this.#changed();
    return member;
  }

  /** Logs a large store once, long before its bound. */
  #watchStore(): void {
    const fill = this.#store.fill();
    if (isLarge(fill) && !this.#storeLarge)
      this.#log.warn(fill, 'the sealed store is large; see holdfast status');
    this.#storeLarge = isLarge(fill);
  }

  /** The newest roster for the lobby, and the hand-out for a peer that the roster lists. */
  #admitted() {
    const member = this.#member;
    if (member === null) return null;
    const { roster, epoch } = headOf(member.core);
    return {
      ...{ roster, epoch },
      handOut: (peer: string) => member.handOut(peer),
      isVacant: (listed: Member) => member.isVacant(listed),
    };
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
  #openedAudit(): Audit {
    if (this.#audit === null) throw new Error('unreachable: the audit log is opened first');
    return this.#audit;
  }

  // ── DaemonApi ──────────────────────────────────────────────────────────────────────────────────────────

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  status(): StatusView {
    const status =
      this.#member === null
        ? this.#newcomer.status(this.#lobby.waiting().length)
        : this.#memberStatus(this.#member);
    const first = [...(this.#member?.twins() ?? []), ...this.#troubles.problems()];
    return { ...status, problems: foremostFirst([...first, ...status.problems]) };
  }

  #memberStatus(member: Membership): StatusView {
    const { name, cipher } = this.#settings;
    const status = statusView(member.core, {
      name,
      cipher,
      fingerprint: null,
      reachable: new Set(member.transport.authenticated()),
      doubled: member.doubled(),
      nowMs: systemClock.nowMs(),
      wallMs: systemClock.wallMs(),
    });
    const keeping = keepingProblems(member.core, {
      fill: this.#store.fill(),
      missing: member.driver.archive.unreadable,
      newer: member.driver.archive.newer,
    });
    return { ...status, problems: [...status.problems, ...keeping, ...member.misconduct()] };
  }

  peers(): PeerView[] {
    const listed = this.#member?.peers() ?? [this.#newcomer.view()];
    return [...listed, ...this.#lobby.waiting().map(waitingPeerView)];
  }

  async epochs(limit?: number): Promise<EpochView[]> {
    return this.#membership().epochs(limit);
  }

  newestEpochs(): EpochView[] {
    return newestEpochViews(this.#core(), systemClock.wallMs());
  }

  async epoch(epoch: number): Promise<EpochView> {
    return this.#membership().epoch(epoch);
  }

  keys(): KeyView[] {
    return keyViews(this.#core());
  }

  audit(): AuditExtent {
    return this.#openedAudit().extent;
  }

  async invite(openForMs: number): Promise<string> {
    await this.#lobby.open(openForMs);
    const lobbyPeer = peerIdOf(identityFromBytes(this.#home.readLobbyIdentity()));
    const lobby = reachableAddresses(this.#settings.lobbyListen, this.#settings.lobbyAnnounce, lobbyPeer);
    return invitationText({ v: 1, genesis: this.#home.genesis, lobby });
  }

  async submitOrder(order: Order): Promise<void> {
    const { driver } = this.#membership();
    if (this.#troubles.has('store'))
      throw new DaemonError('unwritable', 'this peer cannot write its store at present; see holdfast status');
    await this.#openedAudit().handIn(order, () => refusable(() => driver.submitOrder(order)));
  }

  creation(orderHash: Uint8Array): CreationView {
    return creationView(this.#core(), orderHash);
  }

  plans(): PlanView[] {
    return planViews(this.#core());
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

  async sign(request: UseRequest<SignBody>, timeoutMs: number, gone?: AbortSignal): Promise<SignAnswer> {
    const { core, use } = this.#membership();
    return this.#openedAudit().use(request, {
      value: headOf(core),
      run: () => use.sign(request, timeoutMs, gone),
      signersOf: ({ signers }) => signers,
    });
  }

  async decrypt(
    request: UseRequest<DecryptBody>,
    options: { prove: boolean; timeoutMs: number; gone?: AbortSignal },
  ): Promise<DecryptAnswer> {
    const { core, use } = this.#membership();
    return this.#openedAudit().use(request, {
      value: headOf(core),
      run: () => use.decrypt(request, options),
      signersOf: ({ partials }) => partials.map(({ name }) => name),
    });
  }
}

/** A protocol error of a caller's input is a refusal, and no fault of the daemon. */
async function refusable<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ProtocolError) throw new DaemonError('refused', error.message, { code: error.code });
    throw error;
  }
}
