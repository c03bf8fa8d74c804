/**
 * How bytes and protocol objects travel inside the API's JSON. Each is a codec, so that server and client use
 * one schema in both directions. An object that peers sign is base64 of its canonical CBOR, decoded strictly
 * on both sides.
 */
import { z } from 'zod';
import { base64Bytes, base64Length, base64Text, hexBytes } from '../crypto/bytes-as-text.ts';
import type { KeyUse } from '../keys/kind/operation.ts';
import { kindNamed, kindNames } from '../keys/kinds.ts';
import { decode, decodePiece, encode } from '../protocol/records/codec.ts';
import { limits } from '../protocol/records/limits.ts';
import { type Order, orderSchema } from '../protocol/records/order.ts';
import {
  type DecryptBody,
  type SignBody,
  type UseRequest,
  useRequestSchema,
} from '../protocol/records/use-request.ts';
import { versionOf } from '../protocol/records/version.ts';

const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
const toBase64 = (data: Uint8Array): string => Buffer.from(data).toString('base64');

/** Decoding throws `ProtocolError`: `other-version` or `malformed`. */
export const packed = <T>(schema: z.ZodType<T>, bytesMax: number) =>
  z.codec(base64Text(bytesMax), z.custom<T>(), {
    decode: (text) => decodePiece(schema, fromBase64(text), bytesMax) as z.core.util.MaybeAsync<T>,
    encode: (data) => toBase64(encode(data)),
  });

const orderPrefix = 'holdfast-order1 ';
/** The one line of an order file, as `--order-file` writes it. Decoding throws `ProtocolError`. */
export const orderText = z.codec(
  z
    .string()
    .max(orderPrefix.length + base64Length(limits.requestBytesMax))
    .regex(/^holdfast-order1 [A-Za-z0-9_-]+$/, 'must be the line of an order file'),
  z.custom<Order>(),
  {
    decode: (text) => {
      const bytes = Buffer.from(text.slice(orderPrefix.length), 'base64url');
      return decode(orderSchema, new Uint8Array(bytes), limits.requestBytesMax);
    },
    encode: (order) => orderPrefix + Buffer.from(encode(order)).toString('base64url'),
  },
);

/** Between events: a comment (HTML Living Standard §9.2), so that dead connections show. */
export const heartbeat = ':\n\n';

// ── requests to use a key (protocol §6): every field of the signed body in the open, and the client's signature ──────

const common = {
  v: versionOf(useRequestSchema.record),
  cluster: hexBytes(32),
  client: hexBytes(32).describe('the client’s public key (Ed25519)'),
  key: hexBytes(32).describe('the key’s id'),
  nonce: hexBytes(16),
  expiresAtMs: z.int().min(0).describe('Unix milliseconds, at most five minutes ahead'),
};
const signature = base64Bytes(64).describe('the client’s, over all other fields');

/** One shape for each kind of key that serves the operation; `kind` tells them apart. */
function requestOf<Body extends SignBody | DecryptBody>(use: KeyUse, own: z.core.$ZodLooseShape) {
  const shapes = kindNames().flatMap((name) => {
    const operation = kindNamed(name).operations[use];
    if (operation === undefined) return [];
    const fields = { operation: z.literal(use), kind: z.literal(name), ...common, asked: operation.asked };
    return [z.strictObject({ ...fields, ...own, signature })];
  });
  return z.codec(z.union(shapes), z.custom<UseRequest<Body>>(), {
    decode: ({ signature, ...body }) => ({ body, signature }) as never,
    encode: ({ body, signature }) => ({ ...body, signature }) as never,
  });
}

export const signRequest = requestOf<SignBody>('sign', {});
export const decryptRequest = requestOf<DecryptBody>('decrypt', {
  sealingKey: hexBytes(32).describe(
    'the client’s X25519 public key for this request: partials are sealed to it',
  ),
});

/** What a signature is of, as a request asks for it, for any kind of key. */
export const signAsked = z.union(kindNames().flatMap((name) => kindNamed(name).operations.sign?.asked ?? []));
