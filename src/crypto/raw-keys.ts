/** OpenSSL's key objects of raw 32-byte keys: Ed25519 (RFC 8032) and X25519 (RFC 7748), by their DER of RFC 8410. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { EncodingError } from './errors.ts';
import { hashHex } from './hash.ts';

type RawKeyKind = 'ed25519' | 'x25519';

export const rawKeyBytes = 32;

/** What comes before the raw key: PKCS #8 for the secret one, SubjectPublicKeyInfo for the public one. */
const prefixes = {
  ed25519: {
    secret: Buffer.from('302e020100300506032b657004220420', 'hex'),
    public: Buffer.from('302a300506032b6570032100', 'hex'),
  },
  x25519: {
    secret: Buffer.from('302e020100300506032b656e04220420', 'hex'),
    public: Buffer.from('302a300506032b656e032100', 'hex'),
  },
} as const;

interface SecretKey {
  key: KeyObject;
  /** Raw, 32 bytes. */
  publicKey: Uint8Array;
}

/**
 * Creating OpenSSL's key objects costs most, so they are kept: by the caller's own bytes, so that none
 * outlives its secret.
 */
const secretKeys = new WeakMap<Uint8Array, SecretKey & { secretHash: string; kind: RawKeyKind }>();

/** The key of a raw secret (for Ed25519, its seed). @throws EncodingError for another length than 32 bytes */
export function secretKeyOf(kind: RawKeyKind, secret: Uint8Array): SecretKey {
  if (secret.length !== rawKeyBytes) throw new EncodingError(`a raw ${kind} key has ${rawKeyBytes} bytes`);
  const secretHash = hashHex(secret);
  const known = secretKeys.get(secret);
  // The bytes may have been wiped or written over since.
  if (known?.secretHash === secretHash && known.kind === kind) return known;
  const der = Buffer.concat([prefixes[kind].secret, secret]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const made = { secretHash, kind, key, publicKey: new Uint8Array(spki.subarray(-rawKeyBytes)) };
  secretKeys.set(secret, made);
  return made;
}

/** @throws EncodingError for another length than 32 bytes */
export function publicKeyOf(kind: RawKeyKind, raw: Uint8Array): KeyObject {
  if (raw.length !== rawKeyBytes) throw new EncodingError(`a raw ${kind} key has ${rawKeyBytes} bytes`);
  return createPublicKey({ key: Buffer.concat([prefixes[kind].public, raw]), format: 'der', type: 'spki' });
}
