/** Ed25519 (RFC 8032) with raw 32-byte keys. Creating OpenSSL's key objects costs most, so they are kept. */
import * as crypto from 'node:crypto';
import { BoundedCache } from './bounded-cache.ts';
import { EncodingError } from './errors.ts';
import { hashHex } from './hash.ts';

/** DER before a raw key (RFC 8410): PKCS #8 for the seed, SubjectPublicKeyInfo for the public key. */
const seedPrefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const keyLength = 32;
const signatureLength = 64;

const publicKeys = new BoundedCache<string, crypto.KeyObject>(512);
/** By the caller's own seed bytes, so that a key object does not outlive its seed. */
const secretKeys = new WeakMap<Uint8Array, { seedHash: string; key: crypto.KeyObject }>();

const secretKeyOf = (seed: Uint8Array): crypto.KeyObject => {
  if (seed.length !== keyLength) throw new EncodingError(`an Ed25519 seed has ${keyLength} bytes`);
  const seedHash = hashHex(seed);
  const known = secretKeys.get(seed);
  // The bytes may have been wiped or written over since.
  if (known?.seedHash === seedHash) return known.key;
  const der = Buffer.concat([seedPrefix, seed]);
  const key = crypto.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  secretKeys.set(seed, { seedHash, key });
  return key;
};

const publicKeyOf = (raw: Uint8Array): crypto.KeyObject =>
  publicKeys.getOrCompute(Buffer.from(raw).toString('base64'), () =>
    crypto.createPublicKey({ key: Buffer.concat([publicPrefix, raw]), format: 'der', type: 'spki' }),
  );

/** The key pair of a 32-byte seed; the secret key is the seed itself. @throws EncodingError for another length */
export const ed25519FromSeed = (seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } => {
  const der = crypto.createPublicKey(secretKeyOf(seed)).export({ format: 'der', type: 'spki' });
  return { publicKey: new Uint8Array(der.subarray(publicPrefix.length)), secretKey: seed };
};

/** 64 bytes. @throws EncodingError for a seed of another length than 32 bytes */
export const sign = (secretSeed: Uint8Array, message: Uint8Array): Uint8Array =>
  new Uint8Array(crypto.sign(null, message, secretKeyOf(secretSeed)));

/** False, never an error, for whatever a peer may have sent. */
export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== keyLength || signature.length !== signatureLength) return false;
  try {
    return crypto.verify(null, message, publicKeyOf(publicKey), signature);
  } catch {
    return false;
  }
};
