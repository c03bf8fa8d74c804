/** Runs the real command line against homes in a temporary folder and a group in memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, serveApi } from '../../src/api/server.ts';
import { type CommandResult, runCommand } from '../../src/lab/command.ts';
import { openHome } from '../../src/node/home.ts';
import { silentLog } from '../../src/node/log.ts';
import { FakeGroup } from './fake-group.ts';

export const passphrase = 'correct horse';

export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  private server: ApiServer | null = null;

  path(name: string): string {
    return join(this.dir, name);
  }

  run(
    args: readonly string[],
    options: { input?: string; env?: Record<string, string> } = {},
  ): Promise<CommandResult> {
    const env = { HOLDFAST_HOME: this.path('A'), HOLDFAST_OPERATOR_PASSPHRASE: passphrase, ...options.env };
    return runCommand(args, options.input === undefined ? { env } : { env, input: options.input });
  }

  /** Standard output of a command that must succeed. */
  async must(args: readonly string[], options: { input?: string } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout.toString('utf8');
  }

  /** A new cluster whose first peer has its home in A; its invitation. */
  async init(args: readonly string[] = []): Promise<string> {
    const listen = '/ip4/127.0.0.1/tcp/0';
    const fixed = ['--peer', 'a', '--listen', listen, '--lobby-listen', listen, '--passphrase-work', '10'];
    return (
      await this.must(['cluster', 'init', '--name', 'bench', '--threshold', '2', ...fixed, ...args])
    ).trim();
  }

  /** Serves a group in memory as the daemon of home A. */
  async serve(newcomers: readonly string[]): Promise<FakeGroup> {
    const home = openHome(this.path('A'));
    const group = await FakeGroup.create(home, newcomers);
    this.server = await serveApi({ daemon: group, socketFile: home.socketFile, log: silentLog });
    return group;
  }

  async stopServing(): Promise<void> {
    await this.server?.close();
    this.server = null;
  }

  async close(): Promise<void> {
    await this.stopServing();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
