/** What commands that use a key share: the daemon as a client asks it, how something is signed, which key is meant. */
import { type Command, Option } from 'commander';
import type { ApiClient } from '../client/api-client.ts';
import { Daemons, type GroupKey, type Notice } from '../client/daemons.ts';
import { standardTimeoutMs } from '../client/group-signer.ts';
import { EncodingError } from '../crypto/errors.ts';
import type { HashName } from '../keys/rsa/encoding.ts';
import { publicKeyFromPem, type RsaPublicKey, type SignatureScheme } from '../keys/rsa/public-forms.ts';
import { openHome } from '../node/home/home.ts';
import { limits } from '../protocol/records/limits.ts';
import { hashNameSchema } from '../protocol/records/use-request.ts';
import { schemeSchema } from '../protocol/records/value.ts';
import { durationText, durationWithin, optionsOf } from './context.ts';
import { CommandError, progress, readInput, warn } from './terminal.ts';

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
 * The daemon that a command asks, as a client's only one. A key's id exists in one cluster only: the one that the home
 * pins, or of a daemon at `--api` the one that it names.
 */
export function asClientOf(command: Command, daemon: ApiClient): Daemons {
  const { api, home } = optionsOf(command);
  const cluster = api === undefined ? openHome(home).cluster : null;
  return new Daemons({ daemons: [daemon], cluster, onNotice: sayNotice });
}

function sayNotice(notice: Notice): void {
  switch (notice.type) {
    case 'next-daemon':
      return warn(`${notice.daemon}: ${notice.why.message}; asking the next one`);
    case 'asking-for-proofs':
      return progress('the partials do not combine: asking everybody again, with proofs');
    case 'false-partials':
      return warn(`${notice.members.join(', ')} gave a false partial; look at that machine`);
  }
}

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

/** Throws `CommandError('refused')` when the key is another than the one in the file, where there is one. */
export async function checkPinned({ name, publicKey }: GroupKey, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const { modulus, exponent } = await readPublicKey(file);
  if (publicKey.modulus !== modulus || publicKey.exponent !== exponent)
    throw new CommandError(
      'refused',
      `the daemon’s key ${name} is not the one in ${file}; nothing was asked`,
    );
}

/** How long a request to use a key is waited for. */
export const timeoutOption = (): Option =>
  new Option('--timeout <time>', 'how long to wait for enough peers')
    .argParser(durationWithin(1, limits.useRequestLifetimeMs))
    .default(standardTimeoutMs, durationText(standardTimeoutMs));
