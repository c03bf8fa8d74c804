/** Running the command line as its own processes, as people do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** From a checkout the sources run, from a package what was built of them. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const mainFile = fileURLToPath(new URL(`../cli/main.${extension}`, import.meta.url));

/** On a checkout: compiled sources are kept between commands, which then start in half the time. */
export const compileCache: Record<string, string> =
  extension === 'ts'
    ? { NODE_COMPILE_CACHE: fileURLToPath(new URL('../../node_modules/.cache/compile', import.meta.url)) }
    : {};

export interface CommandOptions {
  env: Record<string, string>;
  /** What the command reads from standard input. */
  input?: string | Uint8Array;
  /** How late that comes; at once when left out. */
  inputAfterMs?: number;
  timeoutMs?: number;
  /** Command words before the command's own, as for `spawnCommand`. */
  launcher?: readonly string[];
}

export interface CommandResult {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

/** A command that had to succeed and did not. */
export class CommandFailure extends Error {
  /** What it said last, without `holdfast:`. */
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
  /** Command words before the daemon's own: what enters another network namespace, say, and then becomes it. */
  launcher?: readonly string[];
}

/** Starts `holdfast …args`; the caller looks after the process. */
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

/** Runs `holdfast …args` to its end; killed when it takes longer than `timeoutMs`. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const child = spawnCommand(args, options.env, {
    stdio: ['pipe', 'pipe', 'pipe'],
    launcher: options.launcher ?? [],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that does not read its input may be gone before it is written.
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
