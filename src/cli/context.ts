/** The beginning of every command: the options that all commands have, the home, and the daemon in it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ApiClient, ApiError, connectApi } from '../client/api-client.ts';
import { ClientError } from '../client/client-error.ts';
import { checkSocketPath, type Home, openHome } from '../node/home/home.ts';
import { nameRule } from '../node/settings.ts';
import { shape } from '../protocol/records/codec.ts';
import { CommandError, progress, Stopped, warn } from './terminal.ts';

/** The options that every command has. `api` is the URL of a daemon's API on TCP. */
export interface GlobalOptions {
  home: string;
  api?: string;
  json: boolean;
}

const apiUrl = (text: string): string => {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError('write it as https://192.0.2.1:4180.');
  return text;
};

const folder = (text: string): string => {
  if (text === '') throw new InvalidArgumentError('name a folder.');
  return text;
};

/** The options of `GlobalOptions`. */
export const globalOptions = (): Option[] => [
  new Option('--home <dir>', "the peer's folder")
    .argParser(folder)
    .env('HOLDFAST_HOME')
    .default(join(homedir(), '.holdfast'), '~/.holdfast'),
  new Option(
    '--api <url>',
    "a daemon's API on TCP, instead of the socket in the home; for status, peers, epochs, key list, key public, sign, decrypt, verify and client sign-request",
  )
    .env('HOLDFAST_API')
    .argParser(apiUrl),
  new Option('--json', 'one JSON document instead of text, for commands that report').default(false),
];

/** The command's own options together with those of `GlobalOptions`. */
export const optionsOf = <Own = object>(command: Command): Own & GlobalOptions => command.optsWithGlobals();

/**
 * Lends `use` a connection to the daemon at `--api`, or else to the daemon of the home.
 * @throws ApiError, HomeError; CommandError `not-running` with the command that starts the home's daemon
 */
export async function withApi<T>(command: Command, use: (daemon: ApiClient) => Promise<T>): Promise<T> {
  const { api, home } = optionsOf(command);
  if (api !== undefined) return lend(api, use);
  return orHowToStart(command, lend(socketOf(openHome(home)), use));
}

/**
 * Lends `use` a connection to the daemon of the home, for requests that a daemon answers only at its socket.
 * `HOLDFAST_API` is meant for other commands. It is ignored with a warning.
 * @throws CommandError `refused` for `--api`, and all errors of `withApi`
 */
export async function withDaemon<T>(
  command: Command,
  use: (daemon: ApiClient, home: Home) => Promise<T>,
): Promise<T> {
  const home = openHome(optionsOf(command).home);
  const source = command.getOptionValueSourceWithGlobals('api');
  if (source === 'cli')
    throw new CommandError(
      'refused',
      `${nameOf(command)} asks the daemon of the home at its socket only; leave out --api`,
    );
  if (source === 'env') warn(`HOLDFAST_API is not for ${nameOf(command)}: it asks the daemon of ${home.dir}`);
  return orHowToStart(
    command,
    lend(socketOf(home), (daemon) => use(daemon, home)),
  );
}

/** Adds to the error of a daemon that does not run how it is started. */
async function orHowToStart<T>(command: Command, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    const isGone =
      (error instanceof ApiError && error.code === 'not-running') ||
      (error instanceof ClientError && error.code === 'unreachable');
    if (!isGone) throw error;
    throw new CommandError('not-running', `${error.message}; start it with: ${howToStart(command)}`);
  }
}

/** The command that starts the daemon of this command's home. */
export function howToStart(command: Command): string {
  const given = command.getOptionValueSourceWithGlobals('home') === 'cli';
  return `holdfast start${given ? ` --home ${optionsOf(command).home}` : ''}`;
}

/** Lends `use` a connection to the daemon of the home. Null when no daemon runs there. */
export async function ifRunning<T>(home: Home, use: (daemon: ApiClient) => Promise<T>): Promise<T | null> {
  try {
    return await lend(socketOf(home), use);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not-running') return null;
    throw error;
  }
}

/** The whole name of a command, such as `holdfast key create`. */
export const nameOf = (command: Command): string =>
  command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;

function socketOf({ socketFile }: Home): string {
  checkSocketPath(socketFile);
  return socketFile;
}

async function lend<T>(target: string, use: (daemon: ApiClient) => Promise<T>): Promise<T> {
  const daemon = connectApi(target);
  try {
    return await use(daemon);
  } finally {
    await daemon.close();
  }
}

/**
 * A signal that aborts with `Stopped` when the person presses Ctrl-C, and with a `TimeoutError` after
 * `timeoutMs`. `stopped` gives the line that the person is shown.
 */
export function interruption(timeoutMs?: number, stopped: () => string = () => 'stopped'): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => {
    if (process.stderr.isTTY) progress(''); // the next line must not stand behind the terminal's own ^C
    controller.abort(new Stopped(stopped()));
  });
  return timeoutMs === undefined
    ? controller.signal
    : AbortSignal.any([controller.signal, AbortSignal.timeout(timeoutMs)]);
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads a duration from `minMs` to `maxMs`, such as `500ms`, `8s` or `1h`. Gives milliseconds. The parser
 * throws `InvalidArgumentError`.
 */
export const durationWithin =
  (minMs: number, maxMs: number) =>
  (text: string): number => {
    const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
    const given = Math.round(Number(amount) * (unitMs[unit] ?? Number.NaN));
    if (!Number.isFinite(given) || given <= 0)
      throw new InvalidArgumentError('write it as 500ms, 8s, 5m, 1h or 2d.');
    if (given < minMs || given > maxMs)
      throw new InvalidArgumentError(`it must be from ${durationText(minMs)} to ${durationText(maxMs)}.`);
    return given;
  };

/** The upper bound, 24 days, is below that of a timer in Node (2^31 ms). */
export const duration = durationWithin(1, 24 * 86_400_000);

/** Milliseconds in the form that `duration` reads, in the largest unit that leaves no fraction. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(unitMs).findLast(([, size]) => ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** Reads a whole number of at most nine digits. Throws `InvalidArgumentError`. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('it must be a whole number.');
  return Number(text);
}

/**
 * Throws `CommandError('usage')` unless `name` follows the rule for names. `what` is the kind of thing:
 * `key`, `client`.
 */
export function checkName(what: string, name: string): void {
  if (!shape.name.safeParse(name).success)
    throw new CommandError('usage', `${name} is no name for a ${what}: ${nameRule}`);
}

/** For an option that may be repeated: the values so far, and one more. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];
