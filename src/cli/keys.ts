/** What commands that use a key share: keys by name, how something is signed, and who is missing when nothing is. */
import { type Command, Option } from 'commander';
import type { ApiClient, ApiError } from '../api/client.ts';
import type { HashName } from '../crypto/encoding.ts';
import type { RsaPublicKey, SignatureScheme } from '../crypto/public-key-formats.ts';
import type { KeyView } from '../node/view.ts';
import { CommandError } from './terminal.ts';

export interface SchemeOptions {
  key: string;
  scheme: SignatureScheme;
  hash: HashName;
}

export const withScheme = (command: Command): Command =>
  command
    .requiredOption('--key <name>', 'which key')
    .addOption(new Option('--scheme <scheme>', 'how it is padded').choices(['pkcs1', 'pss']).default('pkcs1'))
    .addOption(new Option('--hash <hash>').choices(['sha256', 'sha384', 'sha512']).default('sha256'));

/** Throws `CommandError('refused')` when there is no such key. */
export async function findKey(daemon: ApiClient, name: string): Promise<KeyView> {
  const found = (await daemon.keys()).find((key) => key.name === name);
  if (found === undefined)
    throw new CommandError('refused', `there is no key named ${name}; see holdfast key list`);
  return found;
}

export const publicKeyOf = (key: KeyView): RsaPublicKey => ({
  modulus: BigInt(`0x${key.modulus}`),
  exponent: BigInt(`0x${key.exponent}`),
});

/** How long peers accept a request: enough for clocks a minute apart and any --timeout. */
export const requestLifetimeMs = 2 * 60_000;

/** Who did not answer, and what to do: start them and do it `again`. */
export function missingPeers(error: ApiError, again: string): CommandError {
  const [what] = error.message.split(';');
  const missing = Object.entries(error.details).map(([name, why]) =>
    why === '' ? name : `${name} (${why})`,
  );
  const who = missing.length === 0 ? '' : `; missing: ${missing.join(', ')}`;
  return new CommandError('not-enough-peers', `${what}${who}; start them and ${again}`);
}
