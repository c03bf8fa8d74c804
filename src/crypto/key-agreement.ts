/** X25519 (RFC 7748) key pairs over raw 32-byte keys: the one-time sealing keys of the protocol. */
import { createPrivateKey, createPublicKey } from 'node:crypto';

const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** The key pair that a uniformly random 32-byte seed stands for; the seed is the secret key. */
export function sealingKeyFromSeed(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  if (seed.length !== 32) throw new RangeError('a sealing key is made from 32 bytes');
  const secret = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  return { publicKey: new Uint8Array(spki.subarray(-32)), secretKey: Uint8Array.from(seed) };
}
