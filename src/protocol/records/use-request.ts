/**
 * Requests to use a key (§6): signed by a client over everything that matters, and checked by every peer for itself
 * before it computes a partial, so that a broken-into peer cannot make others sign for it.
 */

import { z } from 'zod';
import { CodedError } from '../../crypto/errors.ts';
import { hashOf } from '../../crypto/hash.ts';
import { bitLength, bytesToInteger } from '../../crypto/integers.ts';
import { isSealingKey } from '../../crypto/key-agreement.ts';
import { sign, verify } from '../../crypto/signature.ts';
import { digestBytes, hashNames, trialBlock } from '../../keys/rsa/encoding.ts';
import { fold, isUnit } from '../../keys/rsa/group.ts';
import { publicOf } from '../../keys/rsa/kind.ts';
import { encode, sameBytes, shape } from './codec.ts';
import { limits } from './limits.ts';
import { type Client, hashOfValue, type KeyRecord, schemeSchema, type Value } from './value.ts';

export const hashNameSchema = z.enum(hashNames);

const common = {
  cluster: shape.hash,
  /** Ed25519 public key of the client that asks. */
  client: shape.key32,
  key: shape.hash,
  nonce: shape.exactly(16),
  /** Wall clock, Unix milliseconds; at most five minutes ahead. */
  expiresAtMs: z.number().int().min(0),
};

const signBodySchema = z.strictObject({
  ...common,
  operation: z.literal('sign'),
  scheme: schemeSchema,
  hash: hashNameSchema,
  digest: shape.bytes(64),
  /** PSS salt, as long as the digest; empty for PKCS#1. */
  salt: shape.bytes(64),
});
export type SignBody = z.infer<typeof signBodySchema>;

/** Hash and label of the padding stay with the client: only it unpads. */
const decryptBodySchema = z.strictObject({
  ...common,
  operation: z.literal('decrypt'),
  /** As long as the modulus, big-endian. */
  ciphertext: shape.bytes(limits.groupElementBytesMax),
  /** X25519 public key of the client, for this request only: partials are sealed to it. */
  sealingKey: shape.key32,
});
export type DecryptBody = z.infer<typeof decryptBodySchema>;

export const useRequestBodySchema = z.discriminatedUnion('operation', [signBodySchema, decryptBodySchema]);
export type UseRequestBody = z.infer<typeof useRequestBodySchema>;

export const useRequestSchema = z.strictObject({ body: useRequestBodySchema, signature: shape.signature });
/** A signed request; `Body` where only one operation will do. */
export interface UseRequest<Body extends UseRequestBody = UseRequestBody> {
  body: Body;
  signature: Uint8Array;
}

const domain = 'holdfast/use/1';
export const hashOfUse = (body: UseRequestBody): Uint8Array => hashOf(domain, encode(body));
export const signUse = <Body extends UseRequestBody>(seed: Uint8Array, body: Body): UseRequest<Body> => ({
  body,
  signature: sign(seed, hashOfUse(body)),
});

export type UseRefusalCode =
  | 'wrong-cluster'
  | 'unknown-client'
  | 'bad-signature'
  | 'unknown-key'
  | 'wrong-use'
  | 'not-allowed'
  | 'expired'
  | 'clock'
  | 'wrong-digest'
  | 'wrong-scheme'
  | 'wrong-ciphertext'
  | 'weak-sealing-key'
  | 'trial-block'
  | 'over-rate';

export class UseRefusal extends CodedError<UseRefusalCode> {
  override readonly name = 'UseRefusal';
}

/**
 * Decides whether `request` may be served under `value`; throws `UseRefusal` with the rule that refuses it.
 * @param nowMs wall clock, Unix milliseconds; clocks are taken to agree within 60 s (§8).
 */
export function checkUse(
  value: Value,
  clusterId: Uint8Array,
  request: UseRequest,
  nowMs: number,
): { key: KeyRecord; client: Client } {
  const { body } = request;
  if (!sameBytes(body.cluster, clusterId))
    throw new UseRefusal('wrong-cluster', 'the request is for another cluster');
  const client = value.clients.find((listed) => sameBytes(listed.publicKey, body.client));
  if (client === undefined) throw new UseRefusal('unknown-client', 'no client with this key is listed');
  if (!verify(client.publicKey, hashOfUse(body), request.signature))
    throw new UseRefusal('bad-signature', `the request is not signed by client ${client.name}`);
  const key = value.keys.find((listed) => sameBytes(listed.id, body.key));
  if (key === undefined) throw new UseRefusal('unknown-key', 'no key with this id exists');
  if (key.use !== body.operation) throw new UseRefusal('wrong-use', `key ${key.name} is for ${key.use} only`);
  const rights = client.rights.filter(
    (right) => (right.key === '*' || right.key === key.name) && right.operations.includes(body.operation),
  );
  if (rights.length === 0)
    throw new UseRefusal(
      'not-allowed',
      `client ${client.name} may not ${body.operation} with key ${key.name}`,
    );
  if (body.operation === 'sign' && !rights.some(({ schemes }) => schemes?.includes(body.scheme) ?? true))
    throw new UseRefusal(
      'wrong-scheme',
      `client ${client.name} may not sign by ${body.scheme} with key ${key.name}`,
    );
  if (body.operation === 'sign') checkDigest(body);
  else checkCiphertext(value, key, body);
  if (body.expiresAtMs + limits.clockSkewMs < nowMs)
    throw new UseRefusal(
      'expired',
      'the request has expired, or this clock or the client’s is wrong by minutes',
    );
  if (body.expiresAtMs > nowMs + limits.useRequestLifetimeMs + limits.clockSkewMs)
    throw new UseRefusal(
      'clock',
      'the request expires more than five minutes ahead: this clock or the client’s is wrong',
    );
  return { key, client };
}

function checkDigest({ hash, digest, scheme, salt }: SignBody): void {
  if (digest.length !== digestBytes[hash])
    throw new UseRefusal('wrong-digest', `the digest is not one of ${hash}`);
  if (salt.length !== (scheme === 'pss' ? digestBytes[hash] : 0))
    throw new UseRefusal('wrong-scheme', 'the salt does not fit the scheme');
}

/**
 * A decryption is x^d for an x of the client's choice: never for the block by which the newest value retires the old
 * shares (§2, §4.4), nor for its negative, of which partials say the same.
 */
function checkCiphertext(value: Value, key: KeyRecord, { ciphertext, sealingKey }: DecryptBody): void {
  const { modulus } = publicOf(key.public);
  const length = Math.ceil(bitLength(modulus) / 8);
  if (ciphertext.length !== length)
    throw new UseRefusal(
      'wrong-ciphertext',
      `the ciphertext has ${ciphertext.length} bytes, and the key ${length}`,
    );
  if (!isSealingKey(sealingKey))
    throw new UseRefusal('weak-sealing-key', 'nothing can be sealed to the one-time key of the request');
  const block = bytesToInteger(ciphertext);
  if (!isUnit(block, modulus))
    throw new UseRefusal('wrong-ciphertext', 'the ciphertext is no unit below the modulus');
  if (fold(block, modulus) === fold(trialBlock(hashOfValue(value), key.id, modulus), modulus))
    throw new UseRefusal('trial-block', 'the ciphertext is the trial block of the newest epoch');
}
