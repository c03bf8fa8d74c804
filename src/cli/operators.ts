/** The operators whose keys a command signs with. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { SigningKey } from '../client/signing-key.ts';
import type { Home } from '../node/home/home.ts';
import { sameBytes } from '../protocol/records/codec.ts';
import { type OperatorSignature, operatorSign } from '../protocol/records/order.ts';
import { collect } from './context.ts';
import { openOperatorFile, operatorPublicKey } from './key-files.ts';
import { passphraseSource } from './passphrases.ts';
import { CommandError } from './terminal.ts';

/** Files of operators' keys and of their passphrases. */
export interface OperatorOptions {
  operator?: string[];
  passphraseFile?: string[];
}

/** Adds the options that say which operators sign. */
export const withOperator = (command: Command): Command =>
  command
    .option('--operator <file>', "operator key (repeat for several; default: the home's own)", collect)
    .option(
      '--passphrase-file <file>',
      'file whose first line is the passphrase, mode 0600 (of all keys; or repeat it, in the order of --operator)',
      collect,
    );

/**
 * The files of the operators' keys. Each is the key of a different operator of this cluster. It needs no
 * passphrase, so a mistake is found before anybody types one.
 * @throws CommandError
 */
export function operatorFiles(home: Home, { operator }: OperatorOptions): string[] {
  const files = operator ?? [home.operatorFile];
  const listed = files.map((file) => {
    if (!existsSync(file))
      throw new CommandError(
        'usage',
        `there is no operator key ${file}; name where one is with --operator FILE`,
      );
    const key = operatorPublicKey(file);
    const at = home.genesis.operators.findIndex((known) => sameBytes(known, key));
    if (at < 0) throw new CommandError('refused', `${file} is not the key of an operator of this cluster`);
    return at;
  });
  const twice = listed.findIndex((at, place) => listed.indexOf(at) < place);
  if (twice >= 0)
    throw new CommandError('usage', `${files[twice]} is the key of an operator that is named already`);
  return files;
}

/**
 * Opens the keys. The caller calls `wipe` for them. Throws `CommandError`, and `ClientError` for a wrong
 * passphrase.
 */
export async function openOperators(home: Home, options: OperatorOptions): Promise<SigningKey[]> {
  const files = operatorFiles(home, options);
  const passphraseOf = passphraseSource(options.passphraseFile, files.length);
  const keys: SigningKey[] = [];
  for (const [at, file] of files.entries()) {
    const passphrase = await passphraseOf(at, { of: file, fresh: false });
    keys.push(await openOperatorFile(file, passphrase));
  }
  return keys;
}

/**
 * Signs a digest (32 bytes) with every key. Throws `ProtocolError` for a key that the genesis does not list.
 */
export function signAsOperators(
  home: Home,
  keys: readonly SigningKey[],
  digest: Uint8Array,
): OperatorSignature[] {
  return keys.map((key) => operatorSign(home.genesis, key.seed, digest));
}

/** Overwrites the seeds. */
export const wipe = (keys: readonly SigningKey[]): void => {
  for (const key of keys) key.seed.fill(0);
};
