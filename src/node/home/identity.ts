/**
 * A peer's libp2p identity: an Ed25519 key. Noise signs with the same key, so callers begin each signed text
 * with a domain.
 */
import { generateKeyPairFromSeed, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { sign, verify } from '../../crypto/signature.ts';

export type Identity = Ed25519PrivateKey;

/** The identity of a 32-byte seed. The seed must be uniformly random. */
export const identityFromSeed = (seed: Uint8Array): Promise<Identity> =>
  generateKeyPairFromSeed('Ed25519', seed);

/** libp2p's protobuf encoding of the private key. Secret. */
export const identityToBytes = (identity: Identity): Uint8Array => privateKeyToProtobuf(identity);

/** The inverse of `identityToBytes`. @throws Error when the bytes are no Ed25519 private key */
export function identityFromBytes(bytes: Uint8Array): Identity {
  const key = privateKeyFromProtobuf(bytes);
  if (key.type !== 'Ed25519') throw new Error(`an ${key.type} key is no identity`);
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

/** An Ed25519 signature (64 bytes). libp2p's own `sign` may be asynchronous, and this function is not. */
export const signAsIdentity = (identity: Identity, bytes: Uint8Array): Uint8Array =>
  sign(identity.raw.subarray(0, 32), bytes);

/**
 * Whether `signature` over `bytes` is a signature of the identity behind a peer id. A peer may have sent any
 * of the three: bad ones give false, and nothing is thrown.
 */
export function verifyIdentity(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = peerIdFromString(peer).publicKey;
    return key?.type === 'Ed25519' && verify(key.raw, bytes, signature);
  } catch {
    return false; // It is no peer id.
  }
}
