/**
 * Shared parts of the commands that use a key: the daemon as a client asks it, the scheme, and the choice of
 * the key.
 */
import { createPublicKey } from 'node:crypto';
import { type Command, Option } from 'commander';
import type { ApiClient } from '../client/api-client.ts';
import { Daemons, type GroupKey, type Notice } from '../client/daemons.ts';
import { standardTimeoutMs } from '../client/group-signer.ts';
import { type HashName, hashNames } from '../keys/rsa/encoding.ts';
import { type SignatureScheme, signatureSchemes } from '../keys/rsa/public-forms.ts';
import { openHome } from '../node/home/home.ts';
import { limits } from '../protocol/records/limits.ts';
import { durationText, durationWithin, optionsOf } from './context.ts';
import { CommandError, progress, readInput, warn } from './terminal.ts';

/** The name of a key, and how something is signed with it. */
export interface SchemeOptions {
  key: string;
  scheme: SignatureScheme;
  hash: HashName;
}

/** Adds the options of `SchemeOptions`. */
export const withScheme = (command: Command): Command =>
  command
    .requiredOption('--key <name>', 'which key')
    .addOption(new Option('--scheme <scheme>', 'how it is padded').choices(signatureSchemes).default('pkcs1'))
    .addOption(
      new Option('--hash <hash>', 'what is made of the message').choices(hashNames).default('sha256'),
    );

/**
 * The daemon of a command in the form that the client library takes. A key's id exists in one cluster only.
 * That cluster is the one that the home pins. With `--api` it is the cluster that the daemon names.
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

/** The option that pins a public key from elsewhere. */
export const publicKeyOption = (): Option =>
  new Option('--public-key <file>', 'refuse any other key than this one (PEM), whatever the daemon says');

/**
 * The public key in a PEM file, as PEM: one key gives the same text however the file writes it.
 * @throws CommandError `failed` for another file
 */
export async function readPublicKey(file: string): Promise<string> {
  const text = (await readInput(file)).toString('utf8');
  try {
    return createPublicKey(text).export({ type: 'spki', format: 'pem' }).toString();
  } catch {
    throw new CommandError('failed', `${file}: this is no public key in PEM`);
  }
}

/**
 * Compares the daemon's key with the one in `file`, when a file is given.
 * @throws CommandError `refused` when they differ
 */
export async function checkPinned({ name, pem }: GroupKey, file: string | undefined): Promise<void> {
  if (file === undefined || (await readPublicKey(file)) === pem) return;
  throw new CommandError('refused', `the daemon’s key ${name} is not the one in ${file}; nothing was asked`);
}

/** The option that bounds the wait for a use of a key, in milliseconds. */
export const timeoutOption = (): Option =>
  new Option('--timeout <time>', 'how long to wait for enough peers')
    .argParser(durationWithin(1, limits.useRequestLifetimeMs))
    .default(standardTimeoutMs, durationText(standardTimeoutMs));
