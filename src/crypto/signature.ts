/** Ed25519 (RFC 8032) with raw 32-byte keys. */
import * as crypto from 'node:crypto';
import { BoundedCache } from './bounded-cache.ts';
import { publicKeyOf, rawKeyBytes, secretKeyOf } from './raw-keys.ts';

const signatureLength = 64;

/** Creating OpenSSL's key objects costs most; those of members come again and again. */
const publicKeys = new BoundedCache<string, crypto.KeyObject>(512);
const memberKey = (raw: Uint8Array): crypto.KeyObject =>
  publicKeys.getOrCompute(Buffer.from(raw).toString('base64'), () => publicKeyOf('ed25519', raw));

/** The key pair of a 32-byte seed; the secret key is the seed itself. @throws EncodingError for another length */
export const ed25519FromSeed = (seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } => ({
  publicKey: secretKeyOf('ed25519', seed).publicKey.slice(),
  secretKey: seed,
});

/**
 * Signatures that were made here or found good. One signed message comes several times: as gossip, re-sent, as evidence
 * in a proposal, in a certificate. Only good ones are kept, so that nobody can drive them out by sending bad ones.
 */
const goodSignatures = new BoundedCache<string, true>(16_384);
/** Only short messages, as hashes are: the cache is bounded in bytes too. */
const rememberedMessageBytesMax = 64;

const nameOf = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): string =>
  Buffer.concat([publicKey, signature, message]).toString('latin1');

function rememberGood(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): void {
  if (message.length > rememberedMessageBytesMax) return;
  goodSignatures.getOrCompute(nameOf(publicKey, message, signature), () => true);
}

/** 64 bytes. @throws EncodingError for a seed of another length than 32 bytes */
export const sign = (secretSeed: Uint8Array, message: Uint8Array): Uint8Array => {
  const { key, publicKey } = secretKeyOf('ed25519', secretSeed);
  const signature = new Uint8Array(crypto.sign(null, message, key));
  rememberGood(publicKey, message, signature);
  return signature;
};

/** False, never an error, for whatever a peer may have sent. */
export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== rawKeyBytes || signature.length !== signatureLength) return false;
  if (goodSignatures.has(nameOf(publicKey, message, signature))) return true;
  try {
    const good = crypto.verify(null, message, memberKey(publicKey), signature);
    if (good) rememberGood(publicKey, message, signature);
    return good;
  } catch {
    return false;
  }
};
