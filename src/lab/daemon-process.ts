/** One peer of the lab: its home, and its daemon's process while it runs. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ApiClient, connectApi } from '../client/api-client.ts';
import { spawnCommand } from './command.ts';
import { daemonEnded, isStopped, runningDaemon } from './running-daemon.ts';

const stopPatienceMs = 60_000;

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
  /** Command words that start a program on this peer's machine. */
  readonly launcher: readonly string[];

  /** `outlives`: the daemon goes on when this process ends. `launcher`: command words before its own. */
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

  get pid(): number | null {
    return this.#runningPid;
  }

  /** Whether its clock is stopped, by whomever. */
  get paused(): boolean {
    return this.#runningPid !== null && isStopped(this.#runningPid);
  }

  /** Takes over the daemon that another process started on this home, if one runs. */
  attach(): void {
    const pid = runningDaemon(this.home);
    this.#runningPid = pid;
    if (pid === null) return;
    this.#exited = async () => {
      await daemonEnded(pid, this.home);
      this.#runningPid = null;
    };
  }

  /** The daemon's API; connects when first used. */
  get api(): ApiClient {
    this.#client ??= connectApi(join(this.home, 'api.sock'));
    return this.#client;
  }

  /**
   * Starts the daemon and waits for its "ready"; rejects with the end of its log when it exits before.
   * @param env variables that it is given besides ours
   */
  async start(env: Record<string, string> = {}): Promise<void> {
    if (this.running) throw new Error(`${this.name} is running already`);
    const log = openSync(this.logFile, 'a', 0o600);
    // Its standard input stays open as long as this process lives: it ends with us, unless it shall outlive us.
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

  /** Resolves when the daemon that runs now has ended, however it ends. */
  async ended(): Promise<void> {
    await this.#exited();
    await this.#disconnect();
  }

  /** SIGTERM, and waits for the end; rejects when the daemon had to be killed. */
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

  /** SIGKILL: as if the power were cut. */
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

  killNow(): void {
    this.#signal('SIGKILL');
  }

  /** Stops its clock: it is silent, and its connections stay open. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

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
