/**
 * Bytes inside JSON, as codecs that server and client use in both directions: what people compare (ids,
 * digests, nonces) is lower-case hex, all other bytes are base64 (RFC 4648 §4, padded).
 */
import { z } from 'zod';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

const bytesUpTo = (bytesMax: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= bytesMax, {
    error: `must be at most ${bytesMax} bytes`,
  });

/** @param pattern of the text, which has whole bytes only */
export const hexText = (pattern: RegExp, error: string) =>
  z.codec(z.string().regex(pattern, error), bytes, {
    decode: (text) => new Uint8Array(Buffer.from(text, 'hex')),
    encode: (data) => Buffer.from(data).toString('hex'),
  });

/** Exactly so many bytes. */
export const hexBytes = (length: number) =>
  hexText(new RegExp(`^[0-9a-f]{${2 * length}}$`), `must be ${length} bytes in lower-case hex`);

/** Characters of so many bytes in base64. */
export const base64Length = (length: number): number => Math.ceil(length / 3) * 4;

export const base64Text = (bytesMax: number) =>
  z.base64('must be base64').max(base64Length(bytesMax), `must be at most ${bytesMax} bytes`);

export const base64Bytes = (bytesMax: number) =>
  z.codec(base64Text(bytesMax), bytesUpTo(bytesMax), {
    decode: (text) => new Uint8Array(Buffer.from(text, 'base64')),
    encode: (data) => Buffer.from(data).toString('base64'),
  });
