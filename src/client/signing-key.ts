/** A key that signs requests or orders, and how a passphrase seals it in a file: a client's and an operator's alike. */
import { randomBytes } from 'node:crypto';
import { openWithPassphrase, sealWithPassphrase } from '../cipher/passphrase.ts';
import { SealError } from '../cipher/seal-error.ts';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { sameBytes } from '../protocol/records/codec.ts';
import { ClientError } from './client-error.ts';

/** An Ed25519 key pair; `seed` is the secret. */
export interface SigningKey {
  publicKey: Uint8Array;
  seed: Uint8Array;
}

export function newSigningKey(): SigningKey {
  const seed = new Uint8Array(randomBytes(32));
  return { seed, publicKey: ed25519FromSeed(seed).publicKey };
}

/** The 32-byte seed, sealed; base64url. `log2N`: passphrase work, lower only in tests. */
export async function sealSeed(
  seed: Uint8Array,
  passphrase: string,
  log2N: number | undefined,
): Promise<string> {
  const work = log2N === undefined ? {} : { log2N };
  const sealed = await sealWithPassphrase(passphrase, seed, new Uint8Array(randomBytes(32)), work);
  return Buffer.from(sealed).toString('base64url');
}

/**
 * What `sealSeed` sealed. Throws `ClientError`: `wrong-passphrase`, and `bad-file` for a seed of another key than the
 * file says; `SealError` for what nobody sealed.
 * @param file where it lies, for errors
 */
export async function openSeed(
  file: string,
  { sealed, publicKey }: { sealed: string; publicKey: Uint8Array },
  passphrase: string,
): Promise<SigningKey> {
  const seed = await openWithPassphrase(passphrase, new Uint8Array(Buffer.from(sealed, 'base64url'))).catch(
    (error: unknown) => {
      if (error instanceof SealError && error.code === 'not-authentic')
        throw new ClientError(
          'wrong-passphrase',
          `the passphrase does not open ${file}; try again with the right one`,
        );
      throw error;
    },
  );
  return checkedKey(file, { publicKey, seed });
}

/** Throws `ClientError('bad-file')` unless the two are of one key. */
export function checkedKey(file: string, key: SigningKey): SigningKey {
  if (key.seed.length === 32 && sameBytes(ed25519FromSeed(key.seed).publicKey, key.publicKey)) return key;
  throw new ClientError('bad-file', `${file} is damaged: its two halves are of different keys`);
}
