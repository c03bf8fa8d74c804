/** What commands that use a key share: keys by name, how something is signed, and who is missing when nothing is. */
import { type Command, Option } from 'commander';
import type { ApiClient, ApiError } from '../client/api-client.ts';
import { EncodingError } from '../crypto/errors.ts';
import type { HashName } from '../keys/rsa/encoding.ts';
import { publicKeyFromPem, type RsaPublicKey, type SignatureScheme } from '../keys/rsa/public-forms.ts';
import { openHome } from '../node/home/home.ts';
import { type KeyView, publicKeyOf } from '../node/views/view.ts';
import { fromHex, hex } from '../protocol/records/codec.ts';
import { keyIdOf } from '../protocol/records/draft.ts';
import { limits } from '../protocol/records/limits.ts';
import { hashNameSchema } from '../protocol/records/use-request.ts';
import { type KeyUse, schemeSchema } from '../protocol/records/value.ts';
import { durationText, durationWithin, optionsOf } from './context.ts';
import { CommandError, readInput } from './terminal.ts';

const standardTimeoutMs = 8000;

export interface SchemeOptions {
  key: string;
  scheme: SignatureScheme;
  hash: HashName;
}

export const withScheme = (command: Command): Command =>
  command
    .requiredOption('--key <name>', 'which key')
    .addOption(
      new Option('--scheme <scheme>', 'how it is padded').choices(schemeSchema.options).default('pkcs1'),
    )
    .addOption(
      new Option('--hash <hash>', 'what is made of the message')
        .choices(hashNameSchema.options)
        .default('sha256'),
    );

/**
 * Throws `CommandError('refused')` when there is no such key, and when the daemon lists another one under its
 * name: what is signed names a key by its id alone, which binds the name.
 */
export async function findKey(daemon: ApiClient, cluster: Uint8Array, name: string): Promise<KeyView> {
  const found = (await daemon.keys()).find((key) => key.name === name);
  if (found === undefined)
    throw new CommandError('refused', `there is no key named ${name}; see holdfast key list`);
  if (idOf(cluster, found) !== found.id)
    throw new CommandError(
      'refused',
      `what the daemon says of key ${name} does not fit its id; ask another peer`,
    );
  return found;
}

/** The same, of a key that is for this operation. */
export async function findKeyFor(
  daemon: ApiClient,
  cluster: Uint8Array,
  name: string,
  operation: KeyUse,
): Promise<KeyView> {
  const found = await findKey(daemon, cluster, name);
  if (found.use !== operation) throw new CommandError('refused', `key ${name} is for ${found.use} only`);
  return found;
}

const idOf = (cluster: Uint8Array, { name, use, modulus, exponent, base, constant }: KeyView): string =>
  hex(
    keyIdOf(cluster, {
      name,
      use,
      modulus: fromHex(modulus),
      exponent: fromHex(exponent),
      base: fromHex(base),
      constant: fromHex(constant),
    }),
  );

export const publicKeyOption = (): Option =>
  new Option('--public-key <file>', 'refuse any other key than this one (PEM), whatever the daemon says');

/** Throws `CommandError('failed')` for anything but an RSA public key in PEM. */
export async function readPublicKey(file: string): Promise<RsaPublicKey> {
  try {
    return publicKeyFromPem((await readInput(file)).toString('utf8'));
  } catch (error) {
    if (!(error instanceof EncodingError)) throw error;
    throw new CommandError('failed', `${file}: ${error.message}`);
  }
}

/** What the daemon says that the key is, compared with the file when there is one. */
export async function pinnedKey(key: KeyView, file: string | undefined): Promise<RsaPublicKey> {
  const said = publicKeyOf(key);
  if (file === undefined) return said;
  const { modulus, exponent } = await readPublicKey(file);
  if (said.modulus !== modulus || said.exponent !== exponent)
    throw new CommandError(
      'refused',
      `the daemon’s key ${key.name} is not the one in ${file}; nothing was asked`,
    );
  return said;
}

/** How long a request to use a key is waited for. */
export const timeoutOption = (): Option =>
  new Option('--timeout <time>', 'how long to wait for enough peers')
    .argParser(durationWithin(1, limits.useRequestLifetimeMs))
    .default(standardTimeoutMs, durationText(standardTimeoutMs));

/** The cluster that the home pins; of a daemon at `--api`, the one that it names: a key's id exists in one only. */
export async function clusterOf(command: Command, daemon: ApiClient): Promise<Uint8Array> {
  const { api, home } = optionsOf(command);
  return api === undefined ? openHome(home).cluster : fromHex((await daemon.status()).cluster);
}

/** Who did not answer, and what to do: start them and do it `again`. */
export function missingPeers(error: ApiError, again: string): CommandError {
  const [what] = error.message.split(';');
  const missing = Object.entries(error.details).map(([name, why]) =>
    why === '' ? name : `${name} (${why})`,
  );
  const who = missing.length === 0 ? '' : `; missing: ${missing.join(', ')}`;
  return new CommandError('not-enough-peers', `${what}${who}; start them and ${again}`);
}
