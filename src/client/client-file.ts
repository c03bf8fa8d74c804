/**
 * The file that holds a client's key: what a program needs, besides the address of a daemon, to use a key. The seed in
 * it is sealed with a passphrase, or open where that was asked for. Who reads the file gives its text: whether
 * others may read it too is for them to check.
 */
import { z } from 'zod';
import { decodeJson, fromHex, hex } from '../protocol/records/codec.ts';
import { ProtocolError } from '../protocol/records/errors.ts';
import { recordUnion, versionOf } from '../protocol/records/version.ts';
import { ClientError } from './client-error.ts';
import { checkedKey, newSigningKey, openSeed, type SigningKey, sealSeed } from './signing-key.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const common = {
  v: versionOf({ what: 'a client key', version: 1 }),
  holdfast: z.literal('client-key'),
  name: z.string().max(63),
  publicKey: hex32,
  /** The number of the order that lists this client. */
  order: z.int().min(1),
};
const clientFileSchema = recordUnion(
  'a client key',
  1,
  z.union([
    z.strictObject({ ...common, seed: hex32 }),
    /** The 32-byte Ed25519 seed, sealed with the passphrase; base64url. */
    z.strictObject({ ...common, sealed: z.string().max(1024) }),
  ]),
);

export interface ClientFile {
  name: string;
  publicKey: Uint8Array;
  order: number;
  /** The seed itself, or what a passphrase opens. */
  secret: { seed: Uint8Array } | { sealed: string };
}

export function clientFileText({ name, publicKey, order, secret }: ClientFile): string {
  const kept = 'seed' in secret ? { seed: hex(secret.seed) } : { sealed: secret.sealed };
  return `${JSON.stringify({ v: 1, holdfast: 'client-key', name, publicKey: hex(publicKey), order, ...kept })}\n`;
}

/** A new client: its public key, and the text of its file, sealed unless `passphrase` is null. */
export async function newClientFile(client: {
  name: string;
  order: number;
  passphrase: string | null;
  /** Passphrase work, lower only in tests. */
  log2N?: number | undefined;
}): Promise<{ publicKey: Uint8Array; text: string }> {
  const { name, order, passphrase, log2N } = client;
  const { seed, publicKey } = newSigningKey();
  const secret = passphrase === null ? { seed } : { sealed: await sealSeed(seed, passphrase, log2N) };
  const text = clientFileText({ name, publicKey, order, secret });
  seed.fill(0);
  return { publicKey, text };
}

/**
 * Needs no passphrase. Throws `ClientError`: `other-version` for a file of a later version, else `bad-file`.
 * @param file where the text lies, for errors
 */
export function parseClientFile(file: string, text: string): ClientFile {
  const content = contentOf(file, text);
  const { name, order } = content;
  const publicKey = fromHex(content.publicKey);
  if ('sealed' in content) return { name, publicKey, order, secret: { sealed: content.sealed } };
  const { seed } = checkedKey(file, { publicKey, seed: fromHex(content.seed) });
  return { name, publicKey, order, secret: { seed } };
}

/**
 * The key in a client's file, for the caller to erase. Throws as `parseClientFile` and `openSeed` do.
 * @param passphrase asked for only where the key is sealed
 */
export async function openClientFile(
  file: string,
  text: string,
  passphrase: () => Promise<string>,
): Promise<SigningKey> {
  const { publicKey, secret } = parseClientFile(file, text);
  if ('seed' in secret) return { publicKey, seed: secret.seed };
  return openSeed(file, { publicKey, sealed: secret.sealed }, await passphrase());
}

function contentOf(file: string, text: string): z.infer<typeof clientFileSchema> {
  try {
    return decodeJson(clientFileSchema, text);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    if (error.code === 'other-version') throw new ClientError('other-version', `${file}: ${error.message}`);
    throw new ClientError('bad-file', `${file} is not a client key`);
  }
}
