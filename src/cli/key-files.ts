/**
 * Key files that a passphrase seals: an operator's, and a client's (`client/client-file.ts`) unless it was
 * made open.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { openWithPassphrase, sealWithPassphrase } from '../cipher/passphrase.ts';
import { SealError } from '../cipher/seal-error.ts';
import {
  type ClientFile,
  clientFileText,
  newSigningKey,
  readClientFile,
  type SigningKey,
} from '../client/client-file.ts';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { readPrivateFile } from '../node/home/home.ts';
import { fromHex, hex, sameBytes } from '../protocol/records/codec.ts';
import { CommandError } from './terminal.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const operatorFileSchema = z.strictObject({
  holdfast: z.literal('operator-key'),
  publicKey: hex32,
  /** The 32-byte Ed25519 seed, sealed with the passphrase; base64url. */
  sealed: z.string(),
});

function readKeyFile<T>(schema: z.ZodType<T>, file: string, what: string): T {
  const text = Buffer.from(readPrivateFile(file)).toString('utf8');
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CommandError('failed', `${file} is not ${what}`);
  }
}

/** `log2N`: passphrase work, lower only in tests. */
async function sealSeed(seed: Uint8Array, passphrase: string, log2N: number | undefined): Promise<string> {
  const work = log2N === undefined ? {} : { log2N };
  const sealed = await sealWithPassphrase(passphrase, seed, new Uint8Array(randomBytes(32)), work);
  return Buffer.from(sealed).toString('base64url');
}

/** Throws `CommandError`: `refused` for a wrong passphrase, `failed` for a seed of another key than the file says. */
async function openSeed(
  file: string,
  { sealed, publicKey }: { sealed: string; publicKey: Uint8Array },
  passphrase: string,
): Promise<SigningKey> {
  const seed = await openWithPassphrase(passphrase, new Uint8Array(Buffer.from(sealed, 'base64url'))).catch(
    (error: unknown) => {
      if (error instanceof SealError && error.code === 'not-authentic')
        throw new CommandError(
          'refused',
          `the passphrase does not open ${file}; try again with the right one`,
        );
      throw error;
    },
  );
  if (seed.length !== 32 || !sameBytes(ed25519FromSeed(seed).publicKey, publicKey))
    throw new CommandError('failed', `${file} is damaged: its two halves are of different keys`);
  return { publicKey, seed };
}

/** A new operator key: its public part, and the text of its file. `log2N`: passphrase work, lower only in tests. */
export async function newOperatorKey(
  passphrase: string,
  log2N?: number,
): Promise<{ publicKey: Uint8Array; fileText: string }> {
  const { seed, publicKey } = newSigningKey();
  const sealed = await sealSeed(seed, passphrase, log2N);
  seed.fill(0);
  const content = { holdfast: 'operator-key', publicKey: hex(publicKey), sealed };
  return { publicKey, fileText: `${JSON.stringify(content)}\n` };
}

/** The public part of an operator key file; needs no passphrase. */
export const operatorPublicKey = (file: string): Uint8Array =>
  fromHex(readKeyFile(operatorFileSchema, file, 'an operator key').publicKey);

/** Opens an operator key. Throws `CommandError('refused')` for a wrong passphrase. */
export async function openOperatorFile(file: string, passphrase: string): Promise<SigningKey> {
  const { publicKey, sealed } = readKeyFile(operatorFileSchema, file, 'an operator key');
  return openSeed(file, { publicKey: fromHex(publicKey), sealed }, passphrase);
}

/** A new client key: its public part, and the text of its file, sealed unless `passphrase` is null. */
export async function newClientKey(client: {
  name: string;
  order: number;
  passphrase: string | null;
  log2N?: number | undefined;
}): Promise<{ publicKey: Uint8Array; fileText: string }> {
  const { name, order, passphrase, log2N } = client;
  const { seed, publicKey } = newSigningKey();
  const secret = passphrase === null ? { seed } : { sealed: await sealSeed(seed, passphrase, log2N) };
  const fileText = clientFileText({ name, publicKey, order, secret });
  seed.fill(0);
  return { publicKey, fileText };
}

/** Opens a client key; `passphraseFor` is asked only for a sealed one. Throws `CommandError` and `HomeError`. */
export async function openClientKey(
  file: string,
  passphraseFor: (file: string) => Promise<string>,
): Promise<SigningKey> {
  const { publicKey, secret }: ClientFile = readClientFile(file);
  if ('seed' in secret) return { publicKey, seed: secret.seed };
  return openSeed(file, { publicKey, sealed: secret.sealed }, await passphraseFor(file));
}
