/**
 * How protocol objects travel inside the API's JSON: their canonical CBOR as base64url, decoded strictly on both
 * sides. Bare byte strings are base64url too. These are the bodies that both sides agree on.
 */
import { z } from 'zod';
import { decode, encode } from '../protocol/codec.ts';
import { limits } from '../protocol/limits.ts';

export const bytesText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
export const textBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));

export const packText = (data: unknown): string => bytesText(encode(data));
/** Throws `ProtocolError('malformed')`. */
export const unpackText = <T>(schema: z.ZodType<T>, text: string): T => decode(schema, textBytes(text));

export const bodyBytesMax = 16 * 1024 * 1024;
const packed = (bytesMax: number) =>
  z
    .string()
    .max(Math.ceil((bytesMax * 4) / 3))
    .regex(/^[A-Za-z0-9_-]+$/, 'must be base64url');

export const invitationBody = z.strictObject({
  openForMs: z
    .number()
    .int()
    .min(1000)
    .max(7 * 24 * 60 * 60 * 1000),
});
export const foundingBody = z.strictObject({ link: packed(limits.frameBytesMax) });
export const orderBody = z.strictObject({ order: packed(limits.requestBytesMax) });
export const dealingsBody = z.strictObject({
  packets: z.array(packed(limits.frameBytesMax)).min(1).max(limits.membersMax),
});
export const signBody = z.strictObject({
  request: packed(limits.requestBytesMax),
  timeoutMs: z.number().int().min(1).max(limits.useRequestLifetimeMs),
});
export const decryptBody = z.strictObject({ ...signBody.shape, prove: z.boolean().default(false) });
export const epochParams = z.strictObject({ epoch: z.coerce.number().int().min(0) });
export const epochsQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(1000).optional() });
export const linksQuery = z.strictObject({ from: z.coerce.number().int().min(0).default(0) });
export const creationParams = z.strictObject({
  order: z.string().regex(/^[0-9a-f]{64}$/, 'must be an order’s hash in hex'),
});
