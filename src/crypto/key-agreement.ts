/** X25519 (RFC 7748) with raw 32-byte keys. The one-time sealing keys of the protocol are X25519 keys. */
import { diffieHellman } from 'node:crypto';
import { publicKeyOf, rawKeyBytes, secretKeyOf } from './raw-keys.ts';

/**
 * The X25519 key pair of a 32-byte seed. The seed must be uniformly random and is itself the secret key.
 * @throws EncodingError for a seed of another length
 */
export function sealingKeyFromSeed(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  const { publicKey } = secretKeyOf('x25519', seed);
  return { publicKey: publicKey.slice(), secretKey: Uint8Array.from(seed) };
}

/**
 * The 32-byte secret that the owner of `secretKey` shares with the owner of `publicKey`. `publicKey` may come
 * from a peer and is not trusted. The result is null when the secret would be all zero, as with a key of
 * small order. Such a secret protects nothing (RFC 7748 §6.1). The result is also null for a key of another
 * length than 32 bytes.
 */
export function sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  try {
    const secret = diffieHellman({
      privateKey: secretKeyOf('x25519', secretKey).key,
      publicKey: publicKeyOf('x25519', publicKey),
    });
    return secret.every((byte) => byte === 0) ? null : secret;
  } catch {
    return null; // OpenSSL itself refuses an all-zero result.
  }
}

const anySecret = new Uint8Array(rawKeyBytes).fill(1);

/**
 * Whether a sealing key protects the texts that are sealed to it. A peer may have sent any bytes: the answer
 * for bad bytes is false, and nothing is thrown.
 */
export const isSealingKey = (publicKey: Uint8Array): boolean => sharedSecret(anySecret, publicKey) !== null;
