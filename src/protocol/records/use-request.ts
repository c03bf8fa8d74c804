/**
 * Requests to use a key (§6): signed by a client over everything that matters, and checked by every peer for
 * itself before it computes a partial, so that a broken-into peer cannot make others sign for it.
 */

import { z } from 'zod';
import { CodedError } from '../../crypto/errors.ts';
import { hashOf, sha256 } from '../../crypto/hash.ts';
import { isSealingKey } from '../../crypto/key-agreement.ts';
import { sign, verify } from '../../crypto/signature.ts';
import { type Asked, AskedError, type KeyUse, type Operation } from '../../keys/kind/operation.ts';
import { kindNamed, kindNames } from '../../keys/kinds.ts';
import { encode, sameBytes, shape } from './codec.ts';
import { limits } from './limits.ts';
import { type Client, hashOfValue, type KeyRecord, type Value } from './value.ts';
import { around, record } from './version.ts';

const common = {
  cluster: shape.hash,
  /** Ed25519 public key of the client that asks. */
  client: shape.key32,
  key: shape.hash,
  /** The kind of the key: it says what `asked` means. */
  kind: shape.kind,
  /** What is asked of the key, in the shape that its kind gives to it. */
  asked: z.custom<Asked>((value) => isPlain(value) && encode(value).length <= limits.askedBytesMax, {
    error: 'not what a request can ask',
  }),
  nonce: shape.exactly(16),
  /** Wall clock, Unix milliseconds; at most five minutes ahead. */
  expiresAtMs: z.number().int().min(0),
};

/** A flat record of texts and bytes. */
const isPlain = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((field) => typeof field === 'string' || field instanceof Uint8Array);

const signBodySchema = record('a request to use a key', 1, { ...common, operation: z.literal('sign') });
export type SignBody = z.infer<typeof signBodySchema>;

const decryptBodySchema = record('a request to use a key', 1, {
  ...common,
  operation: z.literal('decrypt'),
  /** X25519 public key of the client, for this request only: partials are sealed to it. */
  sealingKey: shape.key32,
});
export type DecryptBody = z.infer<typeof decryptBodySchema>;

export const useRequestBodySchema = z
  .discriminatedUnion('operation', [signBodySchema, decryptBodySchema])
  .refine(({ kind, operation, asked }) => isAsked(kind, operation, asked), {
    error: 'not what a request for a key of this kind asks',
    path: ['asked'],
  });
export type UseRequestBody = z.infer<typeof useRequestBodySchema>;

/**
 * How keys of a kind serve an operation; undefined where they do not, or where the kind is not known here.
 */
const operationOf = (kind: string, operation: KeyUse): Operation | undefined =>
  kindNames().includes(kind) ? kindNamed(kind).operations[operation] : undefined;

/** What is asked of a kind or operation that is not known here is refused later, by name. */
const isAsked = (kind: string, use: KeyUse, asked: Asked): boolean => {
  const operation = operationOf(kind, use);
  return operation === undefined || z.safeEncode(operation.asked, asked).success;
};

export const useRequestSchema = around(
  signBodySchema.record,
  z.strictObject({ body: useRequestBodySchema, signature: shape.signature }),
);
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

/** What an audit log says of a request, whatever came of it. */
export function summaryOf({ kind, operation: use, asked }: UseRequestBody): {
  scheme: string | null;
  hash: string | null;
  digest: Uint8Array;
} {
  const operation = operationOf(kind, use);
  if (operation === undefined) return { scheme: null, hash: null, digest: sha256(encode(asked)) };
  const { hash, digest } = operation.digestOf(asked);
  return { scheme: operation.schemeOf(asked), hash, digest };
}

export type UseRefusalCode =
  | 'wrong-cluster'
  | 'unknown-client'
  | 'bad-signature'
  | 'unknown-key'
  | 'wrong-use'
  | 'not-allowed'
  | 'expired'
  | 'clock'
  | 'weak-sealing-key'
  | 'over-rate'
  | AskedError['code'];

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
): { key: KeyRecord; client: Client; operation: Operation } {
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
  const operation = operationOf(key.kind, key.use);
  if (operation === undefined || body.kind !== key.kind)
    throw new UseRefusal(
      'wrong-use',
      `key ${key.name} is of kind ${key.kind}, and the request is not for one`,
    );
  const rights = client.rights.filter(
    (right) => (right.key === '*' || right.key === key.name) && right.operations.includes(body.operation),
  );
  if (rights.length === 0)
    throw new UseRefusal(
      'not-allowed',
      `client ${client.name} may not ${body.operation} with key ${key.name}`,
    );
  const scheme = operation.schemeOf(body.asked);
  // A right that names schemes is none for a kind that signs in another way.
  const isNamed = ({ schemes }: (typeof rights)[number]): boolean =>
    schemes === undefined || schemes.some((name) => name === scheme);
  if (body.operation === 'sign' && !rights.some(isNamed))
    throw new UseRefusal(
      'wrong-scheme',
      `client ${client.name} may not sign by ${scheme ?? key.kind} with key ${key.name}`,
    );
  checkAsked(value, key, operation, body);
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
  return { key, client, operation };
}

function checkAsked(value: Value, key: KeyRecord, operation: Operation, body: UseRequestBody): void {
  if (body.operation === 'decrypt' && !isSealingKey(body.sealingKey))
    throw new UseRefusal('weak-sealing-key', 'nothing can be sealed to the one-time key of the request');
  try {
    operation.checkForm(body.asked);
    operation.check({
      publicBytes: key.public,
      asked: body.asked,
      trial: { value: hashOfValue(value), key: key.id },
    });
  } catch (error) {
    if (error instanceof AskedError) throw new UseRefusal(error.code, error.message);
    throw error;
  }
}
