/**
 * The file that holds a client's key: what a program needs, besides the address of a daemon, to use a key. The seed in
 * it is sealed with a passphrase, or open where that was asked for. Who reads the file gives its text: whether
 * others may read it too is for them to check.
 */
import { z } from 'zod';
import { fromHex, hex } from '../protocol/records/codec.ts';
import { ClientError } from './client-error.ts';
import { checkedKey, newSigningKey, openSeed, type SigningKey, sealSeed } from './signing-key.ts';

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const common = {
  holdfast: z.literal('client-key'),
  name: z.string().max(63),
  publicKey: hex32,
  /** The number of the order that lists this client. */
  order: z.int().min(1),
};
const clientFileSchema = z.union([
  z.strictObject({ ...common, seed: hex32 }),
  /** The 32-byte Ed25519 seed, sealed with the passphrase; base64url. */
  z.strictObject({ ...common, sealed: z.string().max(1024) }),
]);

export interface ClientFile {
  name: string;
  publicKey: Uint8Array;
  order: number;
  /** The seed itself, or what a passphrase opens. */
  secret: { seed: Uint8Array } | { sealed: string };
}

export function clientFileText({ name, publicKey, order, secret }: ClientFile): string {
  const kept = 'seed' in secret ? { seed: hex(secret.seed) } : { sealed: secret.sealed };
  return `${JSON.stringify({ holdfast: 'client-key', name, publicKey: hex(publicKey), order, ...kept })}\n`;
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
 * Needs no passphrase. Throws `ClientError('bad-file')`.
 * @param file where the text lies, for errors
 */
export function parseClientFile(file: string, text: string): ClientFile {
  const parsed = clientFileSchema.safeParse(jsonOrNull(text));
  if (!parsed.success) throw new ClientError('bad-file', `${file} is not a client key`);
  const { name, order } = parsed.data;
  const publicKey = fromHex(parsed.data.publicKey);
  if ('sealed' in parsed.data) return { name, publicKey, order, secret: { sealed: parsed.data.sealed } };
  const { seed } = checkedKey(file, { publicKey, seed: fromHex(parsed.data.seed) });
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

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
