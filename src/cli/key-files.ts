/** The file of an operator's key, sealed with a passphrase. (A client's is `api/client-file.ts`.) */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { newSigningKey, type SigningKey } from '../api/client-file.ts';
import { openWithPassphrase, sealWithPassphrase } from '../cipher/passphrase.ts';
import { SealError } from '../cipher/seal-error.ts';
import { readPrivateFile } from '../node/home.ts';
import { fromHex, hex } from '../protocol/codec.ts';
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

/** A new operator key: its public part, and the text of its file. `log2N`: passphrase work, lower only in tests. */
export async function newOperatorKey(
  passphrase: string,
  log2N?: number,
): Promise<{ publicKey: Uint8Array; fileText: string }> {
  const { seed, publicKey } = newSigningKey();
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

/** Opens an operator key. Throws `CommandError('refused')` for a wrong passphrase. */
export async function openOperatorFile(file: string, passphrase: string): Promise<SigningKey> {
  const { publicKey, sealed } = readKeyFile(operatorFileSchema, file, 'an operator key');
  try {
    const seed = await openWithPassphrase(passphrase, new Uint8Array(Buffer.from(sealed, 'base64url')));
    return { publicKey: fromHex(publicKey), seed };
  } catch (error) {
    if (error instanceof SealError && error.code === 'not-authentic')
      throw new CommandError('refused', `the passphrase does not open ${file}; try again with the right one`);
    throw error;
  }
}
