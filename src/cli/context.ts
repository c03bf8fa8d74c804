/** What every command begins with: the options that all have, the home, and the daemon in it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ApiClient, connectApi } from '../api/client.ts';
import { type Home, openHome } from '../node/home.ts';

export interface GlobalOptions {
  home: string;
  json: boolean;
}

export const globalOptions = (): Option[] => [
  new Option('--home <dir>', "the peer's folder")
    .env('HOLDFAST_HOME')
    .default(join(homedir(), '.holdfast'), '~/.holdfast'),
  new Option('--json', 'one JSON document instead of text, for commands that report').default(false),
];

/** The command's own options together with those that all commands have. */
export const optionsOf = <Own = object>(command: Command): Own & GlobalOptions => command.optsWithGlobals();

/** Opens the home and lends a connection to its daemon to `use`. */
export async function withDaemon<T>(
  command: Command,
  use: (daemon: ApiClient, home: Home) => Promise<T>,
): Promise<T> {
  const home = openHome(optionsOf(command).home);
  const daemon = connectApi(home.socketFile);
  try {
    return await use(daemon, home);
  } finally {
    await daemon.close();
  }
}

/** Aborts when the person interrupts the command, or when the time is over. */
export function interruption(timeoutMs?: number): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new Error('interrupted')));
  return timeoutMs === undefined
    ? controller.signal
    : AbortSignal.any([controller.signal, AbortSignal.timeout(timeoutMs)]);
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `8s`, `500ms`, `1h` → milliseconds. */
export function duration(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const result = Number(amount) * (unitMs[unit] ?? Number.NaN);
  if (!Number.isFinite(result) || result <= 0)
    throw new InvalidArgumentError('write it as 500ms, 8s, 5m, 1h or 2d.');
  return Math.round(result);
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('it must be a whole number.');
  return Number(text);
}

export const collect = (value: string, before: string[] = []): string[] => [...before, value];
