/** A peer's libp2p identity: an Ed25519 key. Noise signs with it too, so callers prefix what they sign with a domain. */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { generateKeyPairFromSeed, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';

export type Identity = Ed25519PrivateKey;

/** @param seed 32 random bytes */
export const identityFromSeed = (seed: Uint8Array): Promise<Identity> =>
  generateKeyPairFromSeed('Ed25519', seed);

/** libp2p's protobuf encoding of the private key: a secret. */
export const identityToBytes = (identity: Identity): Uint8Array => privateKeyToProtobuf(identity);

/** @throws Error when the bytes are not an Ed25519 private key */
export function identityFromBytes(bytes: Uint8Array): Identity {
  const key = privateKeyFromProtobuf(bytes);
  if (key.type !== 'Ed25519')
    throw new Error('The stored identity is not an Ed25519 key; restore or create it again.');
  return key;
}

export const peerIdOf = (identity: Identity): string => peerIdFromPrivateKey(identity).toString();

/** Whether `text` is the peer id of an Ed25519 identity. */
export function isPeerId(text: string): boolean {
  try {
    return peerIdFromString(text).type === 'Ed25519';
  } catch {
    return false;
  }
}

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** Ed25519 signature (64 bytes). libp2p's own `sign` may be asynchronous, hence node:crypto. */
export function signAsIdentity(identity: Identity, bytes: Uint8Array): Uint8Array {
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    d: base64url(identity.raw.subarray(0, 32)),
    x: base64url(identity.publicKey.raw),
  };
  return new Uint8Array(sign(null, bytes, createPrivateKey({ key: jwk, format: 'jwk' })));
}

/** Whether `signature` over `bytes` is by the identity behind a peer id. Never throws, whatever the arguments are. */
export function verifyIdentity(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = peerIdFromString(peer).publicKey;
    if (key?.type !== 'Ed25519' || signature.length !== 64) return false;
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: base64url(key.raw) };
    return verify(null, bytes, createPublicKey({ key: jwk, format: 'jwk' }), signature);
  } catch {
    return false; // not a peer id
  }
}
