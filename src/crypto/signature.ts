/** Ed25519 signatures (RFC 8032) with raw 32-byte keys. */
import * as crypto from 'node:crypto';
import { BoundedCache } from './bounded-cache.ts';
import { publicKeyOf, rawKeyBytes, secretKeyOf } from './raw-keys.ts';

const signatureLength = 64;

/** Making OpenSSL's key objects is the most expensive part. The keys of members come again and again. */
const publicKeys = new BoundedCache<string, crypto.KeyObject>(512);
const memberKey = (raw: Uint8Array): crypto.KeyObject =>
  publicKeys.getOrCompute(Buffer.from(raw).toString('base64'), () => publicKeyOf('ed25519', raw));

/**
 * The key pair of a 32-byte seed. The secret key is the seed itself.
 * @throws EncodingError for another length
 */
export const ed25519FromSeed = (seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } => ({
  publicKey: secretKeyOf('ed25519', seed).publicKey.slice(),
  secretKey: seed,
});

/**
 * Signatures that this process made or found good. One signed message comes several times: by gossip, sent
 * again, as evidence of a proposal, and in a certificate. Bad signatures are not kept, so a liar cannot drive
 * good ones out by sending bad ones.
 */
const goodSignatures = new BoundedCache<string, true>(16_384);
/** Only short messages are remembered, and hashes are short. So the cache is bounded in bytes too. */
const rememberedMessageBytesMax = 64;

const nameOf = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): string =>
  Buffer.concat([publicKey, signature, message]).toString('latin1');

function rememberGood(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): void {
  if (message.length > rememberedMessageBytesMax) return;
  goodSignatures.getOrCompute(nameOf(publicKey, message, signature), () => true);
}

/**
 * The 64-byte signature of a message under a 32-byte seed.
 * @throws EncodingError for a seed of another length
 */
export const sign = (secretSeed: Uint8Array, message: Uint8Array): Uint8Array => {
  const { key, publicKey } = secretKeyOf('ed25519', secretSeed);
  const signature = new Uint8Array(crypto.sign(null, message, key));
  rememberGood(publicKey, message, signature);
  return signature;
};

/**
 * Whether the signature is good. A peer may have sent any bytes: the answer for bad ones is false, and
 * nothing is thrown.
 */
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
