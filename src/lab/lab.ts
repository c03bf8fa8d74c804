/**
 * A whole group on this machine. Its daemons are real processes, and the real command line makes, founds and
 * uses it. Every wait is for an event. Every process ends with the lab, however the lab ends.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiClient } from '../client/api-client.ts';
import { makeFolder } from '../node/home/home.ts';
import type { Settings } from '../node/settings.ts';
import type { FaultModel } from '../protocol/records/genesis.ts';
import { CommandFailure, type CommandResult, runCommand } from './command.ts';
import { DaemonProcess } from './daemon-process.ts';
import { type LabState, readLabState, writeLabState } from './lab-state.ts';
import { Lan } from './lan.ts';
import { loopbackPlaces } from './loopback.ts';
import type { Place } from './place.ts';
import { pollUntil } from './polling.ts';

/** How a lab is made. */
export interface LabOptions {
  /** How many peers. They are called a, b, c, … */
  peers: number;
  threshold: number;
  /** The local ciphers of the peers, in turn. Left out: AES. */
  ciphers?: readonly Settings['cipher'][];
  /** Settings of every peer. They replace those of the lab (quick timers, no multicast). */
  settings?: Partial<Settings>;
  membersMax?: number;
  faults?: FaultModel;
  /**
   * How long one wait of the lab may take, in milliseconds. Then it fails with the logs. Left out: two
   * minutes.
   */
  patienceMs?: number;
  /** The folder of the homes. Left out: a new folder under /tmp, which `close` removes. */
  dir?: string;
  /** The daemons go on, and the homes stay, after `release`. */
  outlives?: boolean;
  /** The network of the peers: the first peer is on the first machine, and so on. `close` ends it. */
  lan?: Lan;
}

/** Two safe primes for a key. */
export interface SafePrimes {
  /** In hex. */
  p: string;
  q: string;
}

const standardPatienceMs = 120_000;

const labSettings: Partial<Settings> = {
  mdns: false,
  minimumIntervalMs: 0,
  dealingWindowMs: 1000,
  recoveryHoldMs: 3000,
  logLevel: 'debug',
};

export class Lab {
  readonly dir: string;
  readonly options: LabOptions;
  readonly peers = new Map<string, DaemonProcess>();
  readonly passphrase: string;
  /** The folder from which commands take the operator's passphrase. A service has such a folder too. */
  readonly credentials: string;
  #invitation = '';
  /** The operator's commands run in the home of this member. */
  operatorAt = peerName(0);
  readonly #temporary: boolean;
  readonly #onExit: () => void;
  readonly #loopbackPlaceOf = loopbackPlaces();

  private constructor(options: LabOptions, passphrase = randomBytes(16).toString('hex')) {
    this.options = options;
    this.#temporary = options.dir === undefined;
    this.dir = options.dir ?? mkdtempSync(join(tmpdir(), 'holdfast-lab-'));
    makeFolder(this.dir);
    this.passphrase = passphrase;
    this.credentials = join(this.dir, 'credentials');
    mkdirSync(this.credentials, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.credentials, 'holdfast-passphrase'), passphrase, { mode: 0o600 });
    this.#onExit = () => {
      for (const peer of this.peers.values()) peer.killNow();
      options.lan?.killNow();
    };
    process.once('exit', this.#onExit);
  }

  /** Makes and starts all peers, and founds the cluster. When a part fails, its processes end. */
  static async create(options: LabOptions): Promise<Lab> {
    const lab = new Lab(options);
    try {
      await lab.#makeFirst();
      const others = Array.from({ length: options.peers - 1 }, (_, at) => peerName(at + 1));
      await Promise.all(others.map((name) => lab.join(name)));
      await Promise.all([...lab.peers.values()].map((peer) => peer.start()));
      await lab.admit(others);
      return lab;
    } catch (error) {
      const logs = lab.logs();
      await lab.close();
      throw new Error(`${(error as Error).message}\n${logs}`, { cause: error });
    }
  }

  /**
   * The lab that `release` left in `dir`. Its daemons outlive this process too. Throws when there is no lab.
   */
  static open(dir: string): Lab {
    const { threshold, settings, ciphers, passphrase, invitation, operatorAt, names, lan } =
      readLabState(dir);
    const options: LabOptions = { peers: names.length, threshold, settings, ciphers, dir, outlives: true };
    const lab = new Lab(lan === null ? options : { ...options, lan: Lan.attach(lan) }, passphrase);
    process.off('exit', lab.#onExit);
    lab.#invitation = invitation;
    lab.operatorAt = operatorAt;
    for (const name of names) lab.#addPeer(name).attach();
    return lab;
  }

  get names(): string[] {
    return [...this.peers.keys()];
  }

  /** Throws when the lab has no peer of this name. */
  peer(name: string): DaemonProcess {
    const found = this.peers.get(name);
    if (found === undefined) throw new Error(`the lab has no peer ${name}`);
    return found;
  }

  api(name: string): ApiClient {
    return this.peer(name).api;
  }

  /**
   * Runs a command in a peer's home and on its machine. Resolves when the command ends, with any exit code.
   */
  run(name: string, args: readonly string[], input?: string | Uint8Array): Promise<CommandResult> {
    const env = { HOLDFAST_HOME: join(this.dir, name), CREDENTIALS_DIRECTORY: this.credentials };
    const { launcher } = this.peer(name);
    return runCommand(args, { env, launcher, ...(input === undefined ? {} : { input }) });
  }

  /**
   * The same as `run`, for a command that must succeed. Gives its standard output. Rejects with
   * `CommandFailure`.
   */
  async must(name: string, args: readonly string[], input?: string | Uint8Array): Promise<Buffer> {
    const result = await this.run(name, args, input);
    if (result.code !== 0) throw new CommandFailure(`${args.join(' ')} at ${name}`, result);
    return result.stdout;
  }

  /**
   * Waits until `check` at a peer's API gives something else than null. Rejects with the peer's log after
   * `timeoutMs`.
   */
  async until<T>(
    name: string,
    check: (api: ApiClient) => Promise<T | null>,
    timeoutMs = this.options.patienceMs ?? standardPatienceMs,
  ): Promise<T> {
    const { api } = this.peer(name);
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      return await pollUntil(api, () => check(api), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      const status = await api.status().catch(() => null);
      const shown = JSON.stringify(status, null, 2);
      throw new Error(`${name} did not get there in ${timeoutMs} ms\n${shown}\n${this.peer(name).logEnd()}`, {
        cause: error,
      });
    }
  }

  /** Waits until each of these peers has retired everything older than an epoch that is at least `epoch`. */
  async untilEpoch(epoch: number, names = this.runningNames()): Promise<void> {
    await Promise.all(
      names.map((name) =>
        this.until(name, async (api) => {
          const [newest] = await api.epochs(1);
          return newest !== undefined && newest.epoch >= epoch && newest.retired ? true : null;
        }),
      ),
    );
  }

  /**
   * Makes the home of one more peer with the current invitation. `alias` is the name that the peer gives
   * itself.
   */
  async join(name: string, alias = name): Promise<DaemonProcess> {
    const at = this.peers.size;
    const peer = this.#addPeer(name);
    try {
      await this.options.lan?.growTo(at + 1);
      await this.must(name, ['join', this.#invitation, '--name', alias, ...this.#peerArguments(at)]);
      return peer;
    } catch (error) {
      this.peers.delete(name);
      rmSync(peer.home, { recursive: true, force: true });
      throw error;
    }
  }

  /** Admits running newcomers, and waits until they are members. The first time this founds the cluster. */
  async admit(names: readonly string[]): Promise<void> {
    const at = this.operatorAt;
    await this.must(at, ['invite', '--for', '1h']);
    const fingerprints = await this.until(at, async (api) => {
      const waiting = (await api.peers()).filter(
        (peer) => peer.state === 'waiting' && names.includes(peer.name),
      );
      return waiting.length === names.length ? waiting.map((peer) => peer.fingerprint ?? '') : null;
    });
    await this.must(at, ['admit', ...names, '--operator', this.operatorFile, '--yes', ...fingerprints]);
    await Promise.all(
      [at, ...names].map((name) =>
        this.until(name, async (api) => ((await api.status()).state === 'member' ? true : null)),
      ),
    );
  }

  /** Evicts members. `args` are more words of the command, such as `--forced`. */
  async evict(names: readonly string[], args: readonly string[] = []): Promise<void> {
    // The stories decide whether a member stays to spare, so no question is asked.
    const yes = args.includes('--yes') ? [] : ['--yes', ...names];
    await this.must(this.operatorAt, ['evict', ...names, '--operator', this.operatorFile, ...args, ...yes]);
  }

  /**
   * Moves the operator to this member: newcomers ask its lobby from now on. A story calls it before it evicts
   * the first peer.
   */
  async operateAt(name: string): Promise<void> {
    this.operatorAt = name;
    this.#invitation = (await this.must(name, ['invite', '--for', '1h'])).toString('utf8').trim();
  }

  /** The operator's key stays in the first peer's home, even after that peer is evicted. */
  get operatorFile(): string {
    return join(this.dir, peerName(0), 'operator.key');
  }

  /**
   * Creates a key, and a client of the same name. `source` is ready-made primes, or the bits of a key to
   * search for.
   */
  async createKey(name: string, source: SafePrimes | number): Promise<void> {
    const [first = ''] = this.names;
    const args = ['key', 'create', name, '--use', 'sign', ...clientArguments(name)];
    if (typeof source === 'number') {
      await this.must(first, [...args, '--bits', String(source)]);
      return;
    }
    const file = join(this.dir, `${name}.primes`);
    writeFileSync(file, JSON.stringify(source), { mode: 0o600 });
    try {
      await this.must(first, [...args, '--primes-file', file]);
    } finally {
      rmSync(file);
    }
  }

  /** The file of the client that was made with a key. */
  clientFile(key: string): string {
    return join(this.dir, peerName(0), 'clients', `${key}.key`);
  }

  /**
   * The raw signature of `data`, asked for at the peer `name` as the key's client. The timeout suits a busy
   * machine.
   */
  async sign(
    name: string,
    key: string,
    data: string | Uint8Array,
    args: readonly string[] = [],
  ): Promise<Buffer> {
    const client = this.clientFile(key);
    return this.must(name, ['sign', '--key', key, '--client', client, '--timeout', '1m', ...args], data);
  }

  /** Each listener is called whenever a daemon was started. */
  readonly onStart = new Set<() => void>();
  start = async (name: string): Promise<void> => {
    await this.peer(name).start();
    for (const listener of this.onStart) listener();
  };
  stop = (name: string): Promise<void> => this.peer(name).stop();
  kill = (name: string): Promise<void> => this.peer(name).kill();
  pause = (name: string): void => this.peer(name).pause();
  resume = (name: string): void => this.peer(name).resume();

  /** The ends of the logs of all peers. */
  logs(): string {
    return [...this.peers.values()].map((peer) => `--- ${peer.name}\n${peer.logEnd()}`).join('\n');
  }

  /** Ends every process. Removes the homes, unless the caller named their folder. */
  async close(): Promise<void> {
    await Promise.all([...this.peers.values()].map((peer) => peer.kill()));
    await this.options.lan?.close();
    process.off('exit', this.#onExit);
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true });
  }

  /** Ends every process of a lab that was left in a folder, and removes the folder. */
  async remove(): Promise<void> {
    await this.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Leaves daemons and homes behind, for `Lab.open`. The lab must have been made with `outlives`. */
  async release(): Promise<void> {
    process.off('exit', this.#onExit);
    this.save();
    this.options.lan?.release();
    await Promise.all([...this.peers.values()].map((peer) => peer.release()));
  }

  /**
   * Writes the state of the lab to its folder. From now on `Lab.open` finds the lab, even when this process
   * is killed.
   */
  save(): void {
    const { threshold, settings = {}, ciphers = ['aes'], lan } = this.options;
    const { passphrase, operatorAt, names } = this;
    const invitation = this.#invitation;
    const state: LabState = {
      ...{ threshold, settings, ciphers: [...ciphers], passphrase, invitation, operatorAt, names },
      lan: lan?.state ?? null,
    };
    writeLabState(this.dir, state);
  }

  #placeOf(at: number): Place {
    return this.options.lan?.placeOf(at) ?? this.#loopbackPlaceOf(at);
  }

  #addPeer(name: string): DaemonProcess {
    const { outlives = false } = this.options;
    const { launcher } = this.#placeOf(this.peers.size);
    const peer = new DaemonProcess(name, join(this.dir, name), { outlives, launcher });
    this.peers.set(name, peer);
    return peer;
  }

  /** The names of the peers whose daemons run. */
  runningNames(): string[] {
    return [...this.peers.values()].filter((peer) => peer.running).map((peer) => peer.name);
  }

  async #makeFirst(): Promise<void> {
    const { threshold, membersMax, faults } = this.options;
    const name = peerName(0);
    const args = ['cluster', 'init', '--name', 'lab', '--peer', name, '--threshold', String(threshold)];
    if (membersMax !== undefined) args.push('--members-max', String(membersMax), '--yes');
    if (faults !== undefined) args.push('--faults', faults);
    args.push('--passphrase-work', '10', ...this.#peerArguments(0));
    this.#addPeer(name);
    this.#invitation = (await this.must(name, args)).toString('utf8').trim();
  }

  #peerArguments(at: number): string[] {
    const { ciphers } = this.options;
    const { listen, lobbyListen } = this.#placeOf(at);
    const settings = Object.entries({ ...labSettings, ...this.options.settings });
    return [
      ...['--cipher', ciphers?.[at % ciphers.length] ?? 'aes'],
      ...['--listen', listen, '--lobby-listen', lobbyListen],
      ...settings.flatMap(([name, value]) => ['--set', `${name}=${JSON.stringify(value)}`]),
    ];
  }
}

/** The options for a lab's client. It signs unattended and without pause. */
export const clientArguments = (name: string): string[] => [
  '--client',
  name,
  '--open',
  '--rate',
  '100000/min',
];

const peerName = (at: number): string =>
  String.fromCharCode(97 + (at % 26)) + (at < 26 ? '' : String(Math.floor(at / 26)));
