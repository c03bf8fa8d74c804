/** Keys by name, as the daemon lists them, and the options that say how something is signed. */
import { type Command, Option } from 'commander';
import type { ApiClient } from '../api/client.ts';
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
