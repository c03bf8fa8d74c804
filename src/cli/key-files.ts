/**
 * Key files. A passphrase always seals an operator's file. `client/client-file.ts` describes a client's file.
 */
import { z } from 'zod';
import { type ClientFile, openClientFile, parseClientFile } from '../client/client-file.ts';
import { newSigningKey, openSeed, type SigningKey, sealSeed } from '../client/signing-key.ts';
import { readPrivateFile } from '../node/home/home.ts';
import { decodeJson, fromHex, hex } from '../protocol/records/codec.ts';
import { isOfOtherVersion } from '../protocol/records/errors.ts';
import { record } from '../protocol/records/version.ts';
import { CommandError } from './terminal.ts';

const operatorFileSchema = record('an operator key', 1, {
  holdfast: z.literal('operator-key'),
  publicKey: z.string().regex(/^[0-9a-f]{64}$/),
  /** The 32-byte Ed25519 seed, sealed with the passphrase, in base64url. */
  sealed: z.string(),
});

type OperatorFile = z.infer<typeof operatorFileSchema>;

const privateText = (file: string): string => Buffer.from(readPrivateFile(file)).toString('utf8');

function readOperatorFile(file: string): OperatorFile {
  const text = privateText(file);
  try {
    return decodeJson(operatorFileSchema, text);
  } catch (error) {
    if (isOfOtherVersion(error)) throw new CommandError('failed', `${file}: ${error.message}`);
    throw new CommandError('failed', `${file} is not an operator key`);
  }
}

/**
 * Makes an operator key. Gives its public half (Ed25519, 32 bytes) and the text of its file. `log2N` is the
 * scrypt work; only tests lower it.
 */
export async function newOperatorKey(
  passphrase: string,
  log2N?: number,
): Promise<{ publicKey: Uint8Array; fileText: string }> {
  const { seed, publicKey } = newSigningKey();
  const sealed = await sealSeed(seed, passphrase, log2N);
  seed.fill(0);
  const content: OperatorFile = { v: 1, holdfast: 'operator-key', publicKey: hex(publicKey), sealed };
  return { publicKey, fileText: `${JSON.stringify(content)}\n` };
}

/**
 * The public half (32 bytes) of an operator key file. It needs no passphrase.
 * @throws HomeError, or CommandError `failed` for another file
 */
export const operatorPublicKey = (file: string): Uint8Array => fromHex(readOperatorFile(file).publicKey);

/**
 * Opens an operator key. The caller wipes its seed.
 * @throws HomeError, CommandError `failed` for another file, ClientError `wrong-passphrase`
 */
export async function openOperatorFile(file: string, passphrase: string): Promise<SigningKey> {
  const { publicKey, sealed } = readOperatorFile(file);
  return openSeed(file, { publicKey: fromHex(publicKey), sealed }, passphrase);
}

/** The open part of a client's file, which needs no passphrase. Throws `HomeError` and `ClientError`. */
export const readClientFile = (file: string): ClientFile => parseClientFile(file, privateText(file));

/**
 * Opens a client key. `passphraseFor` is called only for a sealed file. The caller wipes the seed.
 * @throws HomeError, ClientError
 */
export const openClientKey = (
  file: string,
  passphraseFor: (file: string) => Promise<string>,
): Promise<SigningKey> => openClientFile(file, privateText(file), () => passphraseFor(file));
