/** X25519 (RFC 7748) over raw 32-byte keys: the one-time sealing keys of the protocol. */
import { diffieHellman } from 'node:crypto';
import { publicKeyOf, rawKeyBytes, secretKeyOf } from './raw-keys.ts';

/** The key pair that a uniformly random 32-byte seed stands for; the seed is the secret key. */
export function sealingKeyFromSeed(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  const { publicKey } = secretKeyOf('x25519', seed);
  return { publicKey: publicKey.slice(), secretKey: Uint8Array.from(seed) };
}

/**
 * The secret that `secretKey` shares with the owner of `publicKey`, which is a peer's word; null where it would be all
 * zero, as with a key of small order: it would protect nothing (RFC 7748 §6.1).
 */
export function sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  try {
    const secret = diffieHellman({
      privateKey: secretKeyOf('x25519', secretKey).key,
      publicKey: publicKeyOf('x25519', publicKey),
    });
    return secret.every((byte) => byte === 0) ? null : secret;
  } catch {
    return null; // OpenSSL refuses an all-zero result itself.
  }
}

const anySecret = new Uint8Array(rawKeyBytes).fill(1);

/** Whether a peer's sealing key protects what is sealed to it; false, never an error, for whatever it may have sent. */
export const isSealingKey = (publicKey: Uint8Array): boolean => sharedSecret(anySecret, publicKey) !== null;
