/**
 * How bytes and protocol objects travel inside the API's JSON. Each is a codec, so that server and client use
 * one schema in both directions: what people compare (ids, digests, nonces) is lower-case hex, all other
 * bytes are base64 (RFC 4648 §4, padded), and an object that peers sign is base64 of its canonical CBOR,
 * decoded strictly on both sides.
 */
import { z } from 'zod';
import { decode, encode, fromHex, hex } from '../protocol/records/codec.ts';
import { limits } from '../protocol/records/limits.ts';
import { type Order, orderSchema } from '../protocol/records/order.ts';
import {
  type DecryptBody,
  hashNameSchema,
  type SignBody,
  type UseRequest,
} from '../protocol/records/use-request.ts';
import { schemeSchema } from '../protocol/records/value.ts';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const base64Length = (length: number): number => Math.ceil(length / 3) * 4;
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
const toBase64 = (data: Uint8Array): string => Buffer.from(data).toString('base64');

const hexOf = (pattern: RegExp, error: string) =>
  z.codec(z.string().regex(pattern, error), bytes, { decode: fromHex, encode: hex });
export const hexBytes = (length: number) =>
  hexOf(new RegExp(`^[0-9a-f]{${2 * length}}$`), `must be ${length} bytes in lower-case hex`);

const base64Text = (bytesMax: number) =>
  z.base64('must be base64').max(base64Length(bytesMax), `must be at most ${bytesMax} bytes`);
export const base64Bytes = (bytesMax: number) =>
  z.codec(base64Text(bytesMax), bytes, { decode: fromBase64, encode: toBase64 });

/** Decoding throws `ProtocolError('malformed')`. */
export const packed = <T>(schema: z.ZodType<T>, bytesMax: number) =>
  z.codec(base64Text(bytesMax), z.custom<T>(), {
    decode: (text) => decode(schema, fromBase64(text), bytesMax) as z.core.util.MaybeAsync<T>,
    encode: (data) => toBase64(encode(data)),
  });

const orderPrefix = 'holdfast-order1 ';
/** The one line of an order file, as `--order-file` writes it. Decoding throws `ProtocolError('malformed')`. */
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

const asked = {
  cluster: hexBytes(32),
  client: hexBytes(32).describe('the client’s public key (Ed25519)'),
  key: hexBytes(32).describe('the key’s id'),
  nonce: hexBytes(16),
  expiresAtMs: z.int().min(0).describe('Unix milliseconds, at most five minutes ahead'),
};
const signature = base64Bytes(64).describe('the client’s, over all other fields');

const signFields = z.strictObject({
  operation: z.literal('sign'),
  ...asked,
  scheme: schemeSchema,
  hash: hashNameSchema,
  digest: hexOf(/^([0-9a-f]{2}){1,64}$/, 'must be a digest in lower-case hex'),
  salt: base64Bytes(64).describe('as long as the digest for PSS, empty for PKCS#1'),
  signature,
});
const decryptFields = z.strictObject({
  operation: z.literal('decrypt'),
  ...asked,
  ciphertext: base64Bytes(limits.groupElementBytesMax).describe('as long as the modulus'),
  sealingKey: hexBytes(32).describe(
    'the client’s X25519 public key for this request: partials are sealed to it',
  ),
  signature,
});

export const signRequest = z.codec(signFields, z.custom<UseRequest<SignBody>>(), {
  decode: ({ signature, ...body }) => ({ body, signature }),
  encode: ({ body, signature }) => ({ ...body, signature }),
});
export const decryptRequest = z.codec(decryptFields, z.custom<UseRequest<DecryptBody>>(), {
  decode: ({ signature, ...body }) => ({ body, signature }),
  encode: ({ body, signature }) => ({ ...body, signature }),
});
