/**
 * OpenSSL's key objects of raw 32-byte keys: Ed25519 (RFC 8032) and X25519 (RFC 7748), made from their DER
 * form of RFC 8410.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { EncodingError } from './errors.ts';
import { hashHex } from './hash.ts';

type RawKeyKind = 'ed25519' | 'x25519';

/** The length of every raw key here, in bytes. */
export const rawKeyBytes = 32;

/** The DER bytes before the raw key: PKCS #8 for a secret key, SubjectPublicKeyInfo for a public one. */
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
 * Making OpenSSL's key objects is the most expensive part, so the objects are kept. The map finds them by the
 * caller's own byte array. A key object therefore goes when its caller lets the secret go.
 */
const secretKeys = new WeakMap<Uint8Array, SecretKey & { secretHash: string; kind: RawKeyKind }>();

/**
 * OpenSSL's key of a raw 32-byte secret, with its public key. For Ed25519 the secret is the seed.
 * @throws EncodingError for another length
 */
export function secretKeyOf(kind: RawKeyKind, secret: Uint8Array): SecretKey {
  if (secret.length !== rawKeyBytes) throw new EncodingError(`a raw ${kind} key has ${rawKeyBytes} bytes`);
  const secretHash = hashHex(secret);
  const known = secretKeys.get(secret);
  // The caller may have wiped or overwritten the bytes since they were remembered.
  if (known?.secretHash === secretHash && known.kind === kind) return known;
  const der = Buffer.concat([prefixes[kind].secret, secret]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const made = { secretHash, kind, key, publicKey: new Uint8Array(spki.subarray(-rawKeyBytes)) };
  secretKeys.set(secret, made);
  return made;
}

/** OpenSSL's key of a raw 32-byte public key. @throws EncodingError for another length */
export function publicKeyOf(kind: RawKeyKind, raw: Uint8Array): KeyObject {
  if (raw.length !== rawKeyBytes) throw new EncodingError(`a raw ${kind} key has ${rawKeyBytes} bytes`);
  return createPublicKey({ key: Buffer.concat([prefixes[kind].public, raw]), format: 'der', type: 'spki' });
}
