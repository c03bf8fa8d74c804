/** The two kinds of key file that people keep: an operator's, sealed with a passphrase, and a client's. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { openWithPassphrase, sealWithPassphrase } from '../cipher/passphrase.ts';
import { SealError } from '../cipher/seal-error.ts';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { readPrivateFile, writePrivateFile } from '../node/home.ts';
import { fromHex, hex } from '../protocol/codec.ts';
import { CommandError, operatorPassphrase } from './terminal.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const operatorFileSchema = z.strictObject({
  holdfast: z.literal('operator-key'),
  publicKey: hex32,
  /** The 32-byte Ed25519 seed, sealed with the passphrase; base64url. */
  sealed: z.string(),
});
const clientFileSchema = z.strictObject({ holdfast: z.literal('client-key'), name: z.string(), seed: hex32 });

/** An Ed25519 key pair; `seed` is the secret. */
export interface SigningKey {
  publicKey: Uint8Array;
  seed: Uint8Array;
}

const newKey = (): SigningKey => {
  const seed = new Uint8Array(randomBytes(32));
  return { seed, publicKey: ed25519FromSeed(seed).publicKey };
};

function readKeyFile<T>(schema: z.ZodType<T>, file: string, what: string): T {
  const text = Buffer.from(readPrivateFile(file)).toString('utf8');
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CommandError('failed', `${file} is not ${what}`);
  }
}

/** A new operator key: its public part, and the text of its file. `log2N`: passphrase work, lower only in tests. */
export async function newOperatorKey(
  passphrase: string,
  log2N?: number,
): Promise<{ publicKey: Uint8Array; fileText: string }> {
  const { seed, publicKey } = newKey();
  const work = log2N === undefined ? {} : { log2N };
  const sealed = await sealWithPassphrase(passphrase, seed, new Uint8Array(randomBytes(32)), work);
  seed.fill(0);
  const content = {
    holdfast: 'operator-key',
    publicKey: hex(publicKey),
    sealed: Buffer.from(sealed).toString('base64url'),
  };
  return { publicKey, fileText: `${JSON.stringify(content)}\n` };
}

/** The public part of an operator key file; needs no passphrase. */
export const operatorPublicKey = (file: string): Uint8Array =>
  fromHex(readKeyFile(operatorFileSchema, file, 'an operator key').publicKey);

/** Opens an operator key, with the passphrase from the file, the environment or the terminal. */
export async function openOperatorFile(
  file: string,
  passphraseFile: string | undefined,
): Promise<SigningKey> {
  const { publicKey, sealed } = readKeyFile(operatorFileSchema, file, 'an operator key');
  const passphrase = await operatorPassphrase({ file: passphraseFile, fresh: false, of: file });
  try {
    const seed = await openWithPassphrase(passphrase, new Uint8Array(Buffer.from(sealed, 'base64url')));
    return { publicKey: fromHex(publicKey), seed };
  } catch (error) {
    if (error instanceof SealError && error.code === 'not-authentic')
      throw new CommandError('refused', `the passphrase does not open ${file}; try again with the right one`);
    throw error;
  }
}

/** Makes a client key in a new file and returns its public part. */
export function createClientFile(file: string, name: string): Uint8Array {
  const key = newKey();
  writePrivateFile(file, `${JSON.stringify({ holdfast: 'client-key', name, seed: hex(key.seed) })}\n`);
  return key.publicKey;
}

export function openClientFile(file: string): SigningKey & { name: string } {
  const { name, seed: text } = readKeyFile(clientFileSchema, file, 'a client key');
  const seed = fromHex(text);
  return { name, seed, publicKey: ed25519FromSeed(seed).publicKey };
}
