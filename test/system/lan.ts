/**
 * A local network of network namespaces: a bridge, and a namespace with one interface for each machine. All of it hangs
 * on one process, and ends with it. Nothing of the real network is touched.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Place } from '../../src/lab/lab.ts';

/** Own user, network and mount namespaces: no rights are needed where the system lets users have them. */
const unshare = ['unshare', '--user', '--map-root-user', '--net', '--mount'] as const;

/** What forbids a LAN on this machine, in one line; null when nothing does. */
export function whatForbidsLan(): string | null {
  const trial = 'mount -t tmpfs none /run && ip netns add trial && ip link add lan type bridge';
  const [program, ...rest] = unshare;
  const { status, stderr, error } = spawnSync(program, [...rest, 'sh', '-c', trial], { encoding: 'utf8' });
  if (status === 0) return null;
  return (error?.message ?? stderr).trim().split('\n')[0] ?? 'no network namespaces';
}

export class Lan {
  private readonly holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.holder = holder;
  }

  /** Machines 0, 1, … at 10.77.0.1, 10.77.0.2, …, connected by one switch. */
  static async create(machines: number): Promise<Lan> {
    const script = [
      'set -e',
      'mount -t tmpfs none /run',
      'ip link add lan type bridge && ip link set lan up',
      ...Array.from({ length: machines }, (_, at) =>
        [
          `ip netns add m${at}`,
          `ip link add v${at} type veth peer name eth0 netns m${at}`,
          `ip link set v${at} master lan up`,
          `ip -n m${at} address add 10.77.0.${at + 1}/24 broadcast + dev eth0`,
          `ip -n m${at} link set lo up`,
          `ip -n m${at} link set eth0 up`,
          `ip -n m${at} route add default dev eth0`,
        ].join(' && '),
      ),
      'echo up',
      // Until standard input ends, which it does at the latest with this process.
      'cat',
    ].join('\n');
    const [program, ...rest] = unshare;
    const holder = spawn(program, [...rest, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: holder.stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => line === 'up' && resolve());
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`the network could not be made (exit code ${code})`)));
    });
    return new Lan(holder);
  }

  /** Where the peer on a machine listens, and what starts a program there. */
  placeOf = (machine: number): Place => ({
    listen: `/ip4/10.77.0.${machine + 1}/tcp/4101`,
    lobbyListen: `/ip4/10.77.0.${machine + 1}/tcp/4100`,
    launcher: [
      ...[
        'nsenter',
        '--target',
        String(this.holder.pid),
        '--user',
        '--net',
        '--mount',
        '--preserve-credentials',
      ],
      ...[`--wdns=${process.cwd()}`, '--', 'ip', 'netns', 'exec', `m${machine}`],
    ],
  });

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.holder.once('exit', resolve));
    this.holder.stdin?.end();
    await ended;
  }
}
