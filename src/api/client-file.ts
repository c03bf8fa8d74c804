/** The file that holds a client's key: what a program needs, besides a daemon's socket, to have something signed. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { HomeError, readPrivateFile, writePrivateFile } from '../node/home.ts';
import { fromHex, hex } from '../protocol/codec.ts';

const clientFileSchema = z.strictObject({
  holdfast: z.literal('client-key'),
  name: z.string(),
  seed: z.string().regex(/^[0-9a-f]{64}$/),
});

/** An Ed25519 key pair; `seed` is the secret. */
export interface SigningKey {
  publicKey: Uint8Array;
  seed: Uint8Array;
}

export function newSigningKey(): SigningKey {
  const seed = new Uint8Array(randomBytes(32));
  return { seed, publicKey: ed25519FromSeed(seed).publicKey };
}

/** Makes a client key in a new file, for its owner's eyes only, and returns its public part. Throws `HomeError`. */
export function createClientFile(file: string, name: string): Uint8Array {
  const key = newSigningKey();
  writePrivateFile(file, `${JSON.stringify({ holdfast: 'client-key', name, seed: hex(key.seed) })}\n`);
  return key.publicKey;
}

/** Throws `HomeError`: `missing`, `permissions`, `unreadable`. */
export function openClientFile(file: string): SigningKey & { name: string } {
  const text = Buffer.from(readPrivateFile(file)).toString('utf8');
  const parsed = clientFileSchema.safeParse(jsonOrNull(text));
  if (!parsed.success) throw new HomeError('unreadable', `${file} is not a client key`);
  const { name, seed: seedText } = parsed.data;
  const seed = fromHex(seedText);
  return { name, seed, publicKey: ed25519FromSeed(seed).publicKey };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
