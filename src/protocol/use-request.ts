/**
 * Requests to use a key (§6): signed by a client over everything that matters, and checked by every peer for itself
 * before it computes a partial, so that a broken-into peer cannot make others sign for it.
 */
import { z } from 'zod';
import { hashOf } from '../crypto/hash.ts';
import { sign, verify } from '../crypto/signature.ts';
import { encode, sameBytes, shape } from './codec.ts';
import { limits } from './limits.ts';
import type { Client, KeyRecord, Value } from './value.ts';

export const schemeSchema = z.enum(['pkcs1', 'pss']);
export const hashNameSchema = z.enum(['sha256', 'sha384', 'sha512']);
export const digestBytes = { sha256: 32, sha384: 48, sha512: 64 } as const;

export const useRequestBodySchema = z.strictObject({
  cluster: shape.hash,
  /** Ed25519 public key of the client that asks. */
  client: shape.key32,
  key: shape.hash,
  operation: z.literal('sign'),
  scheme: schemeSchema,
  hash: hashNameSchema,
  digest: shape.bytes(64),
  /** PSS salt, as long as the digest; empty for PKCS#1. */
  salt: shape.bytes(64),
  nonce: shape.exactly(16),
  /** Wall clock, Unix milliseconds; at most five minutes ahead. */
  expiresAtMs: z.number().int().min(0),
});
export type UseRequestBody = z.infer<typeof useRequestBodySchema>;

export const useRequestSchema = z.strictObject({ body: useRequestBodySchema, signature: shape.signature });
export type UseRequest = z.infer<typeof useRequestSchema>;

const domain = 'holdfast/use/1';
export const hashOfUse = (body: UseRequestBody): Uint8Array => hashOf(domain, encode(body));
export const signUse = (seed: Uint8Array, body: UseRequestBody): UseRequest => ({
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
  | 'over-rate';

export class UseRefusal extends Error {
  readonly code: UseRefusalCode;
  constructor(code: UseRefusalCode, message: string) {
    super(message);
    this.name = 'UseRefusal';
    this.code = code;
  }
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
  const allowed = client.rights.some(
    (right) => (right.key === '*' || right.key === key.name) && right.operations.includes(body.operation),
  );
  if (!allowed)
    throw new UseRefusal(
      'not-allowed',
      `client ${client.name} may not ${body.operation} with key ${key.name}`,
    );
  if (body.digest.length !== digestBytes[body.hash])
    throw new UseRefusal('wrong-digest', `the digest is not one of ${body.hash}`);
  if (body.salt.length !== (body.scheme === 'pss' ? digestBytes[body.hash] : 0))
    throw new UseRefusal('wrong-digest', 'the salt does not fit the scheme');
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
