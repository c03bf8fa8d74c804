/** Runs the real command line against homes in a temporary folder and a group in memory. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type ApiServer, serveApi } from '../../src/api/server.ts';
import { type CommandOptions, type CommandResult, compileCache, runCommand } from '../../src/lab/command.ts';
import { openHome } from '../../src/node/home/home.ts';
import { silentLog } from '../../src/node/log.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { ServedGroup } from '../support/served-group.ts';

export const passphrase = 'correct horse';

export interface ManyResult {
  code: number;
  stdout: string;
  stderr: string;
}

export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  readonly credentials = this.path('credentials');
  #server: ApiServer | null = null;
  #group: ServedGroup | null = null;

  constructor() {
    mkdirSync(this.credentials);
    writeFileSync(join(this.credentials, 'holdfast-passphrase'), passphrase);
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** A file with ready-made primes. `first`: 0 for one key, and 2 for another with other primes. */
  primes(first = 0): string {
    const file = this.path(`primes-${first}`);
    writeFileSync(file, JSON.stringify(readyPrimes(2048, first)), { mode: 0o600 });
    return file;
  }

  run(args: readonly string[], { env, ...rest }: Partial<CommandOptions> = {}): Promise<CommandResult> {
    const own = { HOLDFAST_HOME: this.path('A'), CREDENTIALS_DIRECTORY: this.credentials };
    return runCommand(args, { ...rest, env: { ...own, ...env } });
  }

  /** Standard output of a command that must succeed. */
  async must(args: readonly string[], options: { input?: string } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout.toString('utf8');
  }

  /** Runs commands one after the other in one process, which saves half a second for each. */
  async runMany(commands: ReadonlyArray<readonly string[]>): Promise<ManyResult[]> {
    const program = fileURLToPath(new URL('./many-commands.ts', import.meta.url));
    const own = { HOLDFAST_HOME: this.path('A'), CREDENTIALS_DIRECTORY: this.credentials };
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
      env: { ...process.env, ...compileCache, NO_COLOR: '1', ...own },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(JSON.stringify(commands));
    return JSON.parse(await text(child.stdout));
  }

  /** A new cluster whose first peer has its home in A; what is said about it. */
  async init(args: readonly string[] = []): Promise<{ stdout: string; stderr: string }> {
    const listen = '/ip4/127.0.0.1/tcp/0';
    const fixed = ['--peer', 'a', '--listen', listen, '--lobby-listen', listen, '--passphrase-work', '10'];
    const init = ['cluster', 'init', '--name', 'bench', '--threshold', '2', ...fixed, ...args];
    const { code, stdout, stderr } = await this.run(init);
    if (code !== 0) throw new Error(`cluster init ended with ${code}: ${stderr}`);
    return { stdout: stdout.toString('utf8'), stderr };
  }

  /** Serves a group in memory as the daemon of home A. */
  async serve(newcomers: readonly string[]): Promise<ServedGroup> {
    const home = openHome(this.path('A'));
    this.#group = await ServedGroup.create(home, newcomers);
    await this.serveAgain();
    return this.#group;
  }

  /** The daemon is back after `stopServing`. */
  async serveAgain(): Promise<void> {
    if (this.#group === null) throw new Error('nothing was served before');
    const { socketFile } = this.#group.home;
    this.#server = await serveApi({ daemon: this.#group, socketFile, log: silentLog });
  }

  async stopServing(): Promise<void> {
    await this.#server?.close();
    this.#server = null;
  }

  async close(): Promise<void> {
    await this.stopServing();
    this.#group?.end();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
