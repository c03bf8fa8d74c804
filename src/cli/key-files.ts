/** Key files: a client's (`client/client-file.ts`), and an operator's, which a passphrase always seals. */
import { z } from 'zod';
import { type ClientFile, openClientFile, parseClientFile } from '../client/client-file.ts';
import { newSigningKey, openSeed, type SigningKey, sealSeed } from '../client/signing-key.ts';
import { readPrivateFile } from '../node/home/home.ts';
import { fromHex, hex } from '../protocol/records/codec.ts';
import { CommandError } from './terminal.ts';

const operatorFileSchema = z.strictObject({
  holdfast: z.literal('operator-key'),
  publicKey: z.string().regex(/^[0-9a-f]{64}$/),
  /** The 32-byte Ed25519 seed, sealed with the passphrase; base64url. */
  sealed: z.string(),
});

const privateText = (file: string): string => Buffer.from(readPrivateFile(file)).toString('utf8');

function readOperatorFile(file: string): z.infer<typeof operatorFileSchema> {
  const text = privateText(file);
  try {
    return operatorFileSchema.parse(JSON.parse(text));
  } catch {
    throw new CommandError('failed', `${file} is not an operator key`);
  }
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
export const operatorPublicKey = (file: string): Uint8Array => fromHex(readOperatorFile(file).publicKey);

/** Opens an operator key. Throws `ClientError('wrong-passphrase')` for another passphrase than its own. */
export async function openOperatorFile(file: string, passphrase: string): Promise<SigningKey> {
  const { publicKey, sealed } = readOperatorFile(file);
  return openSeed(file, { publicKey: fromHex(publicKey), sealed }, passphrase);
}

/** What a client's file says without its passphrase. Throws `HomeError` and `ClientError`. */
export const readClientFile = (file: string): ClientFile => parseClientFile(file, privateText(file));

/** Opens a client key; `passphraseFor` is asked only for a sealed one. Throws `HomeError` and `ClientError`. */
export const openClientKey = (
  file: string,
  passphraseFor: (file: string) => Promise<string>,
): Promise<SigningKey> => openClientFile(file, privateText(file), () => passphraseFor(file));
