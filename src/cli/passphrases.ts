/**
 * The sources of a passphrase. In this order: the file that an option names, the service's credentials
 * (systemd), the environment (with a warning), and the person at the terminal.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { askHidden, CommandError, readSecretInput, warn } from './terminal.ts';

/**
 * One kind of passphrase, and the names under which it comes. Operators and clients have different names, so
 * a program that gets the passphrase of its client's key does not get an operator's.
 */
interface PassphraseKind {
  key: string;
  option: string;
  /** The name in `$CREDENTIALS_DIRECTORY`, as in `LoadCredential=holdfast-passphrase:/etc/…`. */
  credential: string;
  variable: string;
  /** What an empty passphrase would mean; the end of an error's line. */
  empty: string;
}

const operatorPassphrase: PassphraseKind = {
  key: 'operator key',
  option: '--passphrase-file',
  credential: 'holdfast-passphrase',
  variable: 'HOLDFAST_PASSPHRASE',
  empty: 'an operator key without one is open to everybody',
};

/** The passphrase of a client's key. */
export const clientPassphrase: PassphraseKind = {
  key: 'client key',
  option: '--client-passphrase-file',
  credential: 'holdfast-client-passphrase',
  variable: 'HOLDFAST_CLIENT_PASSPHRASE',
  empty: 'a client key that needs none is made with --open',
};

/**
 * Gives the passphrase of the key with number `at` (from 0). A `fresh` passphrase is typed twice. It is never
 * empty.
 */
type PassphraseSource = (at: number, key: { of: string; fresh: boolean }) => Promise<string>;

/**
 * The passphrases of `count` keys. One file, credential or variable serves all keys. Several files serve one
 * key each. Without these the terminal asks for each key.
 * @param given files; the first line of each is a passphrase, and others must not be able to read the file
 * @throws CommandError `usage` when the numbers of files and keys do not fit
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
    // The shared source is read once: standard input cannot be read again, and one warning is enough.
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

/** The passphrase of an encrypted PEM file: the first line of `file`, or else the terminal's answer. */
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
