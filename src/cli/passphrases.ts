/**
 * Where a passphrase comes from, in this order: the file that an option names, the service's credentials (systemd), the
 * environment (with a warning), and else the person at the terminal.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { askHidden, CommandError, readSecretInput, warn } from './terminal.ts';

/**
 * Whose passphrase, and the names under which it comes. Each kind has its own: a program that opens its
 * client's key must not be given what opens an operator's.
 */
interface PassphraseKind {
  key: string;
  option: string;
  /** Its name in $CREDENTIALS_DIRECTORY: LoadCredential=holdfast-passphrase:/etc/… */
  credential: string;
  variable: string;
  /** What an empty one would mean. */
  empty: string;
}

const operatorPassphrase: PassphraseKind = {
  key: 'operator key',
  option: '--passphrase-file',
  credential: 'holdfast-passphrase',
  variable: 'HOLDFAST_PASSPHRASE',
  empty: 'an operator key without one is open to everybody',
};

export const clientPassphrase: PassphraseKind = {
  key: 'client key',
  option: '--client-passphrase-file',
  credential: 'holdfast-client-passphrase',
  variable: 'HOLDFAST_CLIENT_PASSPHRASE',
  empty: 'a client key that needs none is made with --open',
};

/** The passphrase of the key at this place of several; a `fresh` one is typed twice. Never empty. */
type PassphraseSource = (at: number, key: { of: string; fresh: boolean }) => Promise<string>;

/**
 * Passphrases of `count` keys: of one file, credential or variable for all of them, of as many files as there
 * are keys, or from the terminal, one after the other.
 * @param given files: the first line of each is a passphrase; refused when others may read it
 */
export function passphraseSource(
  given: readonly string[] | undefined,
  count: number,
  kind: PassphraseKind = operatorPassphrase,
): PassphraseSource {
  const files = given ?? [];
  if (files.length > 1 && files.length !== count)
    throw new CommandError(
      'usage',
      `${files.length} passphrase files are no match for ${count} ${kind.key}s; give one for all, or one for each`,
    );
  let shared: string | null | undefined;
  return async (at, key) => {
    if (files.length > 1) return passphraseFor(key, await fromFile(files[at] as string), kind);
    // Once only: standard input cannot be read again, and one warning is enough.
    shared ??=
      files[0] === undefined ? (fromCredentials(kind) ?? fromEnvironment(kind)) : await fromFile(files[0]);
    return passphraseFor(key, shared, kind);
  };
}

async function passphraseFor(
  { of, fresh }: { of: string; fresh: boolean },
  given: string | null,
  { option, credential, variable, empty }: PassphraseKind,
): Promise<string> {
  const instead = `${option}, the credential ${credential}, or ${variable}`;
  const passphrase = given ?? (await askHidden(`passphrase for ${of}: `, instead));
  if (passphrase === '') throw new CommandError('usage', `the passphrase is empty; ${empty}`);
  if (fresh && given === null && passphrase !== (await askHidden('the same again: ', instead)))
    throw new CommandError('usage', 'the two passphrases differ; nothing was done');
  return passphrase;
}

/** The passphrase of an encrypted PEM file: the first line of `file`, or from the terminal. */
export const pemPassphrase = async (file: string | undefined, of: string): Promise<string> =>
  file === undefined ? askHidden(`passphrase for ${of}: `, '--pem-passphrase-file') : fromFile(file);

const fromFile = async (file: string): Promise<string> => firstLine(await readSecretInput(file));

/** systemd puts credentials into a folder that only the service can read. */
function fromCredentials({ credential }: PassphraseKind): string | null {
  const folder = process.env.CREDENTIALS_DIRECTORY;
  if (folder === undefined) return null;
  const file = join(folder, credential);
  return statSync(file, { throwIfNoEntry: false }) === undefined ? null : firstLine(readFileSync(file));
}

function fromEnvironment({ option, variable }: PassphraseKind): string | null {
  const given = process.env[variable];
  if (given === undefined) return null;
  warn(`the passphrase is in ${variable}, which other programs of this user can read; better: ${option}`);
  return given;
}

const firstLine = (content: Uint8Array): string =>
  Buffer.from(content).toString('utf8').split(/\r?\n/)[0] ?? '';
