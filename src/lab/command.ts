/** Runs the command line in processes of its own, as people do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A checkout runs the sources, and a package runs the JavaScript that was built of them. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const mainFile = fileURLToPath(new URL(`../cli/main.${extension}`, import.meta.url));

/** The variable that makes Node keep compiled sources of a checkout. Commands then start in half the time. */
export const compileCache: Record<string, string> =
  extension === 'ts'
    ? { NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/compile', import.meta.url)) }
    : {};

/** How one command runs. */
export interface CommandOptions {
  env: Record<string, string>;
  /** The content of the command's standard input. */
  input?: string | Uint8Array;
  /** How long the input is held back, in milliseconds. Left out: it comes at once. */
  inputAfterMs?: number;
  timeoutMs?: number;
  /** The words before the command's own, as for `spawnCommand`. */
  launcher?: readonly string[];
}

/** `code` is null when a signal ended the command. */
export interface CommandResult {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

/** A command failed that had to succeed. */
export class CommandFailure extends Error {
  /** The last line of its standard error, without `holdfast:`. */
  readonly reason: string;

  /** @param shown the command's words, and where it ran */
  constructor(shown: string, { code, stderr }: CommandResult) {
    super(`holdfast ${shown} ended with ${code}: ${stderr.trim()}`);
    this.name = 'CommandFailure';
    this.reason = (stderr.trim().split('\n').at(-1) ?? '').replace(/^holdfast: /, '');
  }
}

interface SpawnOptions {
  stdio: Array<'pipe' | 'ignore' | number>;
  /** The process goes on when this one ends. */
  detached?: boolean;
  /**
   * The words before the daemon's own. They may enter a network namespace, for example, and then become the
   * daemon.
   */
  launcher?: readonly string[];
}

/** Starts `holdfast …args`. The caller looks after the process. */
export function spawnCommand(
  args: readonly string[],
  env: Record<string, string>,
  { stdio, detached = false, launcher = [] }: SpawnOptions,
): ChildProcess {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', mainFile];
  const [program = '', ...rest] = [...launcher, ...node, ...args];
  return spawn(program, rest, {
    stdio,
    detached,
    env: { ...process.env, ...compileCache, NO_COLOR: '1', ...env },
  });
}

/** Runs `holdfast …args` to its end. After `timeoutMs` (five minutes when left out) the command is killed. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = spawnCommand(args, options.env, {
    stdio: ['pipe', 'pipe', 'pipe'],
    launcher: options.launcher ?? [],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that does not read its input may end before the input is written.
  child.stdin?.on('error', () => {});
  const give = () => void child.stdin?.end(options.input ?? '');
  if (options.inputAfterMs === undefined) give();
  else setTimeout(give, options.inputAfterMs).unref();
  const deadline = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 300_000);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearTimeout(deadline);
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') };
}
