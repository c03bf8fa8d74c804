/** One peer of a lab: its home, and the process of its daemon while it runs. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ApiClient, connectApi } from '../client/api-client.ts';
import { spawnCommand } from './command.ts';
import { daemonEnded, isStopped, runningDaemon } from './running-daemon.ts';

const stopPatienceMs = 60_000;

/** A daemon that this process starts, or that an earlier process started. */
export class DaemonProcess {
  readonly name: string;
  readonly home: string;
  readonly logFile: string;
  #child: ChildProcess | null = null;
  #runningPid: number | null = null;
  /** Resolves when the process has ended. */
  #exited: () => Promise<void> = async () => {};
  #client: ApiClient | null = null;
  readonly #outlives: boolean;
  /** The words before a command that start it on this peer's machine. */
  readonly launcher: readonly string[];

  /**
   * @param options.outlives the daemon goes on when this process ends
   * @param options.launcher the words before the daemon's own command
   */
  constructor(
    name: string,
    home: string,
    { outlives = false, launcher = [] }: { outlives?: boolean; launcher?: readonly string[] } = {},
  ) {
    this.name = name;
    this.home = home;
    this.#outlives = outlives;
    this.launcher = launcher;
    this.logFile = `${home}.log`;
  }

  get running(): boolean {
    return this.#runningPid !== null;
  }

  /** The process id; null while no daemon runs. */
  get pid(): number | null {
    return this.#runningPid;
  }

  /** Whether the process is stopped, no matter who stopped it. */
  get paused(): boolean {
    return this.#runningPid !== null && isStopped(this.#runningPid);
  }

  /** Takes over the daemon that an earlier process started on this home, if one runs. */
  attach(): void {
    const pid = runningDaemon(this.home);
    this.#runningPid = pid;
    if (pid === null) return;
    this.#exited = async () => {
      await daemonEnded(pid, this.home);
      this.#runningPid = null;
    };
  }

  /** The daemon's API. The first call connects. */
  get api(): ApiClient {
    this.#client ??= connectApi(join(this.home, 'api.sock'));
    return this.#client;
  }

  /**
   * Starts the daemon, and resolves when it prints "ready". Rejects with the end of its log when it exits
   * before that.
   * @param env more variables for the daemon
   */
  async start(env: Record<string, string> = {}): Promise<void> {
    if (this.running) throw new Error(`${this.name} is running already`);
    const log = openSync(this.logFile, 'a', 0o600);
    // The daemon's standard input stays open as long as this process lives. When it closes, a daemon that
    // must not outlive this process ends.
    const args = ['start', '--home', this.home];
    const { launcher } = this;
    const child = this.#outlives
      ? spawnCommand(args, env, { stdio: ['ignore', 'pipe', log], detached: true, launcher })
      : spawnCommand([...args, '--while-stdin-open'], env, { stdio: ['pipe', 'pipe', log], launcher });
    closeSync(log);
    this.#child = child;
    this.#runningPid = child.pid ?? null;
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => {
        this.#child = null;
        this.#runningPid = null;
        resolve();
      });
    });
    this.#exited = () => exited;
    child.stdin?.on('error', () => {});
    const { stdout } = child;
    if (stdout === null) throw new Error('a daemon’s standard output is always piped');
    const lines = createInterface({ input: stdout });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => line.startsWith('ready ') && resolve());
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${this.name} ended with ${code}:\n${this.logEnd()}`)));
    });
  }

  /** Resolves when the daemon that runs now has ended, for whatever reason. */
  async ended(): Promise<void> {
    await this.#exited();
    await this.#disconnect();
  }

  /** Sends SIGTERM, and resolves when the daemon has ended. Rejects when the daemon had to be killed. */
  async stop(): Promise<void> {
    if (!this.running) return;
    let killed = false;
    const deadline = setTimeout(() => {
      killed = true;
      this.#signal('SIGKILL');
    }, stopPatienceMs);
    this.#signal('SIGCONT');
    this.#signal('SIGTERM');
    await this.#exited();
    clearTimeout(deadline);
    await this.#disconnect();
    if (killed) throw new Error(`${this.name} did not stop within ${stopPatienceMs} ms:\n${this.logEnd()}`);
  }

  /** Sends SIGKILL, and resolves when the daemon has ended. For the daemon this is a power cut. */
  async kill(): Promise<void> {
    this.killNow();
    await this.ended();
  }

  /** Lets go of a daemon that outlives this process. */
  async release(): Promise<void> {
    await this.#disconnect();
    this.#child?.stdout?.destroy();
    this.#child?.unref();
    this.#child = null;
    this.#runningPid = null;
  }

  /** Sends SIGKILL, and does not wait. */
  killNow(): void {
    this.#signal('SIGKILL');
  }

  /** Stops the process: it is silent, and its connections stay open. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  /** The last 4,000 characters of the daemon's log. */
  logEnd(): string {
    try {
      return readFileSync(this.logFile, 'utf8').slice(-4000);
    } catch {
      return '(no log)';
    }
  }

  #signal(name: NodeJS.Signals): void {
    if (this.#runningPid === null) return;
    try {
      process.kill(this.#runningPid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  async #disconnect(): Promise<void> {
    await this.#client?.close();
    this.#client = null;
  }
}
