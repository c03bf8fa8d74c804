/**
 * A local network made of network namespaces. Each machine is a namespace with one interface. Two switches
 * have a cable between them. All of it ends with one process, the holder. The real network is not touched. No
 * rights are needed on a system that lets users have namespaces.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Place } from './place.ts';

const run = promisify(execFile);

/** The facts that another process needs to work with the same network. */
export interface LanState {
  holder: number;
  machines: number;
  own: Ownership;
}

/** The namespaces live in a user namespace of this user (`user`), or belong to the system's root (`root`). */
type Ownership = 'user' | 'root';

const unshare: Readonly<Record<Ownership, readonly string[]>> = {
  user: ['--user', '--map-root-user', '--net', '--mount'],
  root: ['--net', '--mount'],
};
const enter: Readonly<Record<Ownership, readonly string[]>> = {
  user: ['--user', '--preserve-credentials', '--net', '--mount'],
  root: ['--net', '--mount'],
};

function trial(own: Ownership): string | null {
  const script = 'mount -t tmpfs none /run && ip netns add trial && ip link add lan type bridge';
  const { status, stderr, error } = spawnSync('unshare', [...unshare[own], 'sh', '-c', script], {
    encoding: 'utf8',
  });
  if (status === 0) return null;
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return 'there is no unshare here';
  return (error?.message ?? stderr).trim().split('\n')[0] || 'no network namespaces';
}

function possible(): { own: Ownership } | { forbidden: string } {
  const forbidden = trial('user');
  if (forbidden === null) return { own: 'user' };
  return process.getuid?.() === 0 && trial('root') === null ? { own: 'root' } : { forbidden };
}

/** What forbids such a network on this machine, in one line. Null when nothing does. */
export function whatForbidsLan(): string | null {
  const found = possible();
  return 'forbidden' in found ? found.forbidden : null;
}

/** The commands for a namespace with one interface, whose cable is in `switch0`. */
const machine = (at: number): string =>
  [
    `ip netns add m${at}`,
    `ip link add v${at} type veth peer name eth0 netns m${at}`,
    `ip link set v${at} master switch0 up`,
    `ip -n m${at} address add 10.77.0.${at + 1}/24 broadcast + dev eth0`,
    `ip -n m${at} link set lo up`,
    `ip -n m${at} link set eth0 up`,
    `ip -n m${at} route add default dev eth0`,
  ].join('\n');

/**
 * The commands for `switch0` and `switch1`, the cable between them, and all machines at `switch0`. Without
 * snooping, multicast reaches all machines.
 */
const layout = (machines: number): string =>
  [
    'set -e',
    'mount -t tmpfs none /run',
    ...[0, 1].flatMap((at) => [
      `ip link add switch${at} type bridge mcast_snooping 0`,
      `ip link set switch${at} up`,
    ]),
    'ip link add up0 type veth peer name up1',
    ...[0, 1].map((at) => `ip link set up${at} master switch${at} up`),
    ...Array.from({ length: machines }, (_, at) => machine(at)),
    'echo up',
  ].join('\n');

/** One network. A process that ends takes its network with it, unless it was made with `outlives`. */
export class Lan {
  readonly state: LanState;
  readonly #child: ChildProcess | null;

  private constructor(state: LanState, child: ChildProcess | null) {
    this.state = state;
    this.#child = child;
  }

  /**
   * Makes machines 0, 1, … with the addresses 10.77.0.1, 10.77.0.2, …
   * @param options.outlives the network goes on when this process ends, until `close`
   * @throws Error when the system forbids it
   */
  static async create(machines: number, { outlives = false } = {}): Promise<Lan> {
    const found = possible();
    if ('forbidden' in found) throw new Error(`this machine forbids network namespaces: ${found.forbidden}`);
    const { own } = found;
    // The holder ends when its standard input closes, and that happens at the latest when this process ends.
    // A holder that outlives this process must not keep its output pipe open, or a reader of that pipe would
    // wait for the holder's end.
    const wait = outlives ? 'exec sleep infinity > /dev/null 2>&1' : 'exec cat';
    const child = spawn('unshare', [...unshare[own], 'sh', '-c', `${layout(machines)}\n${wait}`], {
      stdio: [outlives ? 'ignore' : 'pipe', 'pipe', 'inherit'],
      detached: outlives,
    });
    const { pid, stdout } = child;
    if (stdout === null) throw new Error('the holder’s standard output is always piped');
    const lines = createInterface({ input: stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => line === 'up' && resolve());
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the network could not be made (exit code ${code})`)));
    });
    return new Lan({ holder: pid ?? 0, machines, own }, child);
  }

  /** The network that another process made with `outlives`. */
  static attach(state: LanState): Lan {
    return new Lan(state, null);
  }

  /** Where the peer on a machine listens, and the words that start a program there. */
  placeOf = (machine: number): Place => ({
    listen: `/ip4/10.77.0.${machine + 1}/tcp/4101`,
    lobbyListen: `/ip4/10.77.0.${machine + 1}/tcp/4100`,
    launcher: [
      ...['nsenter', ...this.#entering(), `--wdns=${process.cwd()}`, '--'],
      ...['ip', 'netns', 'exec', `m${machine}`],
    ],
  });

  /** Adds machines until there are this many. */
  async growTo(machines: number): Promise<void> {
    for (; this.state.machines < machines; this.state.machines += 1)
      await this.#inside('sh', '-ec', machine(this.state.machines));
  }

  /** Pulls a machine's cable. Its own interface goes down, so the machine notices. */
  cut = (machine: number): Promise<void> => this.#ip('link', 'set', `v${machine}`, 'down');

  /** Makes the switch's port drop every frame of a machine. Nobody notices on either side. */
  blackHole = (machine: number): Promise<void> =>
    this.#inside('bridge', 'link', 'set', 'dev', `v${machine}`, 'state', '0');

  /** Puts a machine's cable back into the first switch, and opens its port. */
  async heal(machine: number): Promise<void> {
    // A port that leaves its switch and comes back forwards frames again, in whatever state it was.
    await this.#ip('link', 'set', `v${machine}`, 'nomaster');
    await this.#ip('link', 'set', `v${machine}`, 'master', 'switch0', 'up');
  }

  /** Moves these machines to the second switch, and takes away the cable between the switches. */
  async split(machines: readonly number[]): Promise<void> {
    await this.#ip('link', 'set', 'up0', 'down');
    for (const machine of machines) await this.#ip('link', 'set', `v${machine}`, 'master', 'switch1');
  }

  /** Puts the cable between the switches back. */
  join = (): Promise<void> => this.#ip('link', 'set', 'up0', 'up');

  /** Lets go of a network that outlives this process. */
  release(): void {
    this.#child?.stdout?.destroy();
    this.#child?.unref();
  }

  killNow(): void {
    try {
      process.kill(this.state.holder, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Ends the network. Programs in it must have ended before. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === null) {
      this.killNow();
      return;
    }
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  #entering(): string[] {
    const { holder, own } = this.state;
    return ['--target', String(holder), ...enter[own]];
  }

  #ip(...args: string[]): Promise<void> {
    return this.#inside('ip', ...args);
  }

  async #inside(...command: string[]): Promise<void> {
    await run('nsenter', [...this.#entering(), '--', ...command]);
  }
}
