/**
 * The file that holds a client's key: what a program needs, besides a daemon's socket, to use a key. The seed in it is
 * sealed with a passphrase, as an operator's is (`cli/key-files.ts`), or open where that was asked for.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { HomeError, readPrivateFile } from '../node/home/home.ts';
import { fromHex, hex, sameBytes } from '../protocol/records/codec.ts';

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

/** An Ed25519 key pair; `seed` is the secret. */
export interface SigningKey {
  publicKey: Uint8Array;
  seed: Uint8Array;
}

export function newSigningKey(): SigningKey {
  const seed = new Uint8Array(randomBytes(32));
  return { seed, publicKey: ed25519FromSeed(seed).publicKey };
}

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

/** Needs no passphrase. Throws `HomeError`: `no-file`, `permissions`, `unreadable`. */
export function readClientFile(file: string): ClientFile {
  const text = Buffer.from(readPrivateFile(file)).toString('utf8');
  const parsed = clientFileSchema.safeParse(jsonOrNull(text));
  if (!parsed.success) throw new HomeError('unreadable', `${file} is not a client key`);
  const { name, order } = parsed.data;
  const publicKey = fromHex(parsed.data.publicKey);
  if ('sealed' in parsed.data) return { name, publicKey, order, secret: { sealed: parsed.data.sealed } };
  const seed = fromHex(parsed.data.seed);
  if (!sameBytes(ed25519FromSeed(seed).publicKey, publicKey))
    throw new HomeError('unreadable', `${file} is damaged: its two halves are of different keys`);
  return { name, publicKey, order, secret: { seed } };
}

/** The key in a file that no passphrase seals. Throws `HomeError`, `unreadable` for one that is sealed too. */
export function openClientFile(file: string): SigningKey & { name: string } {
  const { name, publicKey, secret } = readClientFile(file);
  if ('sealed' in secret) throw new HomeError('unreadable', `${file} is sealed with a passphrase`);
  return { name, publicKey, seed: secret.seed };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
