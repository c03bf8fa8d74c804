/**
 * Clients of the commands: the options that make one, the file of its key, and the client that `sign` and
 * `decrypt` ask as. The file of a new client is written before its order is handed in. It is never written
 * over.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ApiClient } from '../client/api-client.ts';
import { ClientError } from '../client/client-error.ts';
import { type ClientFile, newClientFile } from '../client/client-file.ts';
import type { SigningKey } from '../client/signing-key.ts';
import { type Home, HomeError, openHome, writePrivateFile } from '../node/home/home.ts';
import { encode, sameBytes } from '../protocol/records/codec.ts';
import type { Client, KeyUse, Value } from '../protocol/records/value.ts';
import { checkName, optionsOf, wholeNumber } from './context.ts';
import { openClientKey, readClientFile } from './key-files.ts';
import { rateInWords } from './order-words.ts';
import { clientPassphrase, passphraseSource } from './passphrases.ts';
import { CommandError, progress, warn } from './terminal.ts';

/** The options of commands that make a client. `rate` is uses a minute; 0 means no bound. */
export interface NewClientOptions {
  open: boolean;
  rate: number;
  clientPassphraseFile?: string;
  passphraseWork?: number;
}

/** The rate of a client without `--rate`. It slows down a thief of the client's key. */
const standardRate = 100;
const rateMax = 1_000_000;

const ratePerMinute = (text: string): number => {
  if (text === 'unlimited') return 0;
  const [, count] = /^(\d{1,7})\/min$/.exec(text) ?? [];
  if (count === undefined || Number(count) < 1 || Number(count) > rateMax)
    throw new InvalidArgumentError(`write it as 100/min (from 1 to ${rateMax}), or as unlimited.`);
  return Number(count);
};

/** The option that names the file with the passphrase of a client's key. */
export const clientPassphraseOption = (): Option =>
  new Option(
    '--client-passphrase-file <file>',
    "file whose first line is the passphrase of the client's key, mode 0600",
  );

/** Adds the options of commands that make a client. */
export const withNewClient = (command: Command): Command =>
  command
    .addOption(
      new Option('--rate <rate>', 'uses that each peer serves the client, as 100/min, or unlimited')
        .argParser(ratePerMinute)
        .default(standardRate, `${standardRate}/min`),
    )
    .option(
      '--open',
      "leave the client's key without a passphrase, for a program that starts unattended",
      false,
    )
    .addOption(clientPassphraseOption())
    .addOption(
      new Option('--passphrase-work <log2N>', 'scrypt work, for tests').argParser(wholeNumber).hideHelp(),
    );

/** A client that an order is to list. */
export interface PlannedClient {
  name: string;
  file: string;
  /** The newest value lists this very client already, with the key in `file` and with these rights. */
  listed: boolean;
  /** Asks for the passphrase of a new file. A file that an earlier try left is opened instead, as a check. */
  ask: () => Promise<void>;
  /** Writes the file, unless it is there. Gives the client that the order of this number lists. */
  make: (order: number) => Promise<Client>;
  /** Removes the file that `make` wrote. It is called when the order can never take effect. */
  undo: () => void;
  /** The rights of the client and the place of its key, in words. */
  words: () => string;
}

/**
 * Plans a new client, and checks everything that can be checked before anything is made.
 * @throws CommandError when another client has the name or the file
 */
export function planClient(
  head: Value,
  home: Home,
  wanted: { name: string; rights: Client['rights']; out?: string | undefined; options: NewClientOptions },
): PlannedClient {
  const { name, rights, options } = wanted;
  checkName('client', name);
  const file = resolve(wanted.out ?? join(home.clientsDir, `${name}.key`));
  const kept = keptClient(file);
  const clientOf = (publicKey: Uint8Array): Client => ({
    name,
    publicKey,
    rights,
    ratePerMinute: options.rate,
  });
  const known = head.clients.find((client) => client.name === name);
  const listed =
    known !== undefined && kept !== null && sameBytes(encode(known), encode(clientOf(kept.publicKey)));
  if (known !== undefined && !listed) throw new CommandError('refused', takenName(known, kept, file));
  if (!listed && kept !== null) checkResumable(file, kept, head, name, options);
  const passphraseFor = newPassphrases(options);
  let passphrase: string | null = null;
  let written = false;
  return {
    name,
    file,
    listed,
    ask: async () => {
      if (options.rate === 0)
        warn(`client ${name} is given no bound on its requests, nor is whoever steals its key`);
      // Anybody who can write here could have replaced the file by one of their own. They could not seal it
      // with this passphrase.
      if (kept !== null)
        (await openClientKey(file, (of) => passphraseFor(0, { of, fresh: false }))).seed.fill(0);
      else if (!options.open)
        passphrase = await passphraseFor(0, { of: `the new client ${name}`, fresh: true });
    },
    make: async (order) => {
      if (kept !== null) {
        progress(`client key: ${file}, from an earlier try`);
        return clientOf(kept.publicKey);
      }
      const key = await newClientFile({ name, order, passphrase, log2N: options.passphraseWork });
      writePrivateFile(file, key.text);
      written = true;
      progress(`client key: ${file}${options.open ? ', open: whoever reads it is this client' : ''}`);
      return clientOf(key.publicKey);
    },
    undo: () => {
      if (!written) return;
      rmSync(file, { force: true });
      written = false;
      progress(`${file} is removed again: its client is not listed`);
    },
    words: () =>
      `client ${name} may ${rights.map(rightInWords).join(', ')}: ${rateInWords(options.rate)}; its key is ${file}${options.open ? '' : ', sealed'}`,
  };
}

const rightInWords = ({ key, operations, schemes }: Client['rights'][number]): string =>
  `${operations.join(' and ')} with ${key}${schemes === undefined ? '' : ` by ${schemes.join(' and ')}`}`;

const newPassphrases = ({ clientPassphraseFile: file }: NewClientOptions) =>
  passphraseSource(file === undefined ? [] : [file], 1, clientPassphrase);

/** The client key in a file; null when there is no file. */
function keptClient(file: string): ClientFile | null {
  if (!existsSync(file)) return null;
  try {
    return readClientFile(file);
  } catch (error) {
    if (!isNoClientKey(error)) throw error;
    throw new CommandError('failed', `${file} exists already; name another with --out`);
  }
}

const isNoClientKey = (error: unknown): boolean =>
  (error instanceof ClientError && error.code === 'bad-file') ||
  (error instanceof HomeError && error.code === 'unreadable');

function takenName(known: Client, kept: ClientFile | null, file: string): string {
  if (kept === null) return `a client named ${known.name} exists already; choose another name`;
  const why = sameBytes(known.publicKey, kept.publicKey)
    ? `with the key in ${file}, but with other rights or another rate; remove it first, or choose another name`
    : `with another key than the one in ${file}; choose another name`;
  return `a client named ${known.name} exists already, ${why}`;
}

/**
 * A file whose client is not listed yet is used again while its order may still take effect. Its name and its
 * form (sealed or open) must be those of the earlier try.
 */
function checkResumable(
  file: string,
  kept: ClientFile,
  head: Value,
  name: string,
  { open }: NewClientOptions,
): void {
  if (kept.name !== name || kept.order <= head.lastOrder)
    throw new CommandError(
      'failed',
      `${file} exists already, and its client ${kept.name} is not listed; remove it, or name another file or client`,
    );
  if ('seed' in kept.secret !== open)
    throw new CommandError(
      'failed',
      `${file} exists already, from an earlier try, and ${open ? 'is sealed: leave out --open' : 'is open: give --open'}, or remove it first`,
    );
}

/** The option that names the client's key file. */
export const clientOption = (): Option =>
  new Option('--client <file>', "client key (default: the home's one client that may use the key)");

/** What a client is asked to do. */
interface Wanted {
  key: string;
  operation: KeyUse;
}

/**
 * The key of the client to ask as: the one in `--client`, or else that of the only client of the home that
 * may do it. The caller wipes its seed. `daemon` is null when no daemon is asked.
 * @throws CommandError for no client and for several; ApiError, HomeError, ClientError
 */
export async function openClient(
  command: Command,
  wanted: Wanted,
  daemon: ApiClient | null,
): Promise<SigningKey> {
  const { client, clientPassphraseFile } = optionsOf<{ client?: string; clientPassphraseFile?: string }>(
    command,
  );
  const file = client ?? (await clientOfHome(command, wanted, daemon));
  if (!existsSync(file))
    throw new CommandError('failed', `there is no client key ${file}; make one with: ${howToMake(wanted)}`);
  const passphraseOf = passphraseSource(
    clientPassphraseFile === undefined ? [] : [clientPassphraseFile],
    1,
    clientPassphrase,
  );
  return openClientKey(file, (of) => passphraseOf(0, { of, fresh: false }));
}

const howToMake = ({ key, operation }: Wanted): string =>
  `holdfast client add NAME --key ${key} --may ${operation}`;

/**
 * The only file of the home whose client may do it. The daemon shows the newest value, which has the rights.
 */
async function clientOfHome(command: Command, wanted: Wanted, daemon: ApiClient | null): Promise<string> {
  const { key, operation } = wanted;
  const { api, home } = optionsOf(command);
  if (daemon === null || api !== undefined)
    throw new CommandError('usage', 'name the client that asks, with --client FILE');
  const { clientsDir } = openHome(home);
  const { epoch } = await daemon.status();
  const clients = epoch === null ? [] : ((await daemon.links(epoch)).at(-1)?.value.clients ?? []);
  const files = readdirSync(clientsDir)
    .filter((name) => name.endsWith('.key'))
    .sort()
    .map((name) => join(clientsDir, name))
    .filter((file) => clients.some((client) => isOf(client, file) && may(client, wanted)));
  const [file] = files;
  if (file === undefined)
    throw new CommandError(
      'failed',
      `no client of this home may ${operation} with ${key}; name the file of one with --client FILE, or make one with: ${howToMake(wanted)}`,
    );
  if (files.length > 1)
    throw new CommandError(
      'usage',
      `${files.length} clients of this home may ${operation} with ${key}; name one of them: ${files.map((one) => `--client ${one}`).join(', ')}`,
    );
  return file;
}

function isOf(client: Client, file: string): boolean {
  try {
    return sameBytes(readClientFile(file).publicKey, client.publicKey);
  } catch (error) {
    if (isNoClientKey(error)) return false; // the file is something else of the owner's
    throw error;
  }
}

const may = ({ rights }: Client, { key, operation }: Wanted): boolean =>
  rights.some((right) => (right.key === '*' || right.key === key) && right.operations.includes(operation));
