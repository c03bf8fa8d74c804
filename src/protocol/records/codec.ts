/**
 * Canonical CBOR (RFC 8949 §4.2.3, length-first map keys), strict and bounded. What is decoded must encode to
 * the same bytes again, so that every value has one encoding, one hash and one signature.
 */
import { decode as cborDecode, encode as cborEncode } from 'cborg';
import { z } from 'zod';
import { ProtocolError } from './errors.ts';
import { limits } from './limits.ts';
import { checkVersion, otherVersionIn, record, type Versioned } from './version.ts';

/** Encodes plain data: objects, arrays, strings, integers, booleans, null and byte arrays; nothing else. */
export function encode(data: unknown): Uint8Array {
  return cborEncode(data);
}

/**
 * Decodes and checks a record.
 * @throws ProtocolError `other-version` for a later version of it, or of a record in it
 * @throws ProtocolError `malformed` for anything else
 */
export function decode<T>(
  schema: z.ZodType<T> & Versioned,
  bytes: Uint8Array,
  bytesMax: number = limits.frameBytesMax,
): T {
  checkVersion(schema.record, bytes);
  return decodePiece(schema, bytes, bytesMax);
}

/** The same for data that is no record: something around it has a version, such as an address of the API. */
export function decodePiece<T>(schema: z.ZodType<T>, bytes: Uint8Array, bytesMax: number): T {
  if (bytes.length > bytesMax)
    throw new ProtocolError('malformed', `a message of ${bytes.length} bytes is over ${bytesMax}`);
  let data: unknown;
  try {
    data = cborDecode(bytes, {
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowNaN: false,
      allowInfinity: false,
      rejectDuplicateMapKeys: true,
    });
  } catch {
    throw new ProtocolError('malformed', 'not canonical CBOR');
  }
  const content = checkedData(schema, data);
  if (Buffer.compare(cborEncode(data), bytes) !== 0)
    throw new ProtocolError('malformed', 'not canonical CBOR');
  return content;
}

/** Decodes and checks the JSON text of a record, as files for people have it. Throws as `decode` does. */
export function decodeJson<T>(schema: z.ZodType<T> & Versioned, text: string): T {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new ProtocolError('malformed', 'not JSON');
  }
  return checkedData(schema, data);
}

/** Checks data that is decoded already. Throws as `decode` does. */
export function checkedData<T>(schema: z.ZodType<T>, data: unknown): T {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw (
    otherVersionIn(schema, data) ??
    new ProtocolError(
      'malformed',
      `unexpected field ${issue?.path.join('.') ?? ''}: ${issue?.code ?? 'unknown'}`,
    )
  );
}

/** Puts data that has no version in memory into a record, and takes it out of one. */
export interface Envelope<T> {
  encode(content: T): Uint8Array;
  /** Throws as `decode` does. */
  decode(bytes: Uint8Array, bytesMax?: number): T;
}
/** The record in which such data travels. `version` is that of the data, too. */
export function envelope<T>(what: string, version: number, schema: z.ZodType<T>): Envelope<T> {
  const enveloped = record(what, version, { content: schema });
  return {
    encode: (content) => encode({ v: version, content }),
    decode: (bytes, bytesMax) => decode(enveloped, bytes, bytesMax).content,
  };
}

const ownBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

/** Schemas of the pieces that all messages are made of. */
export const shape = {
  bytes: (bytesMax: number) =>
    z.custom<Uint8Array>((value) => ownBytes(value) && value.length <= bytesMax, { error: 'bytes too long' }),
  exactly: (length: number) =>
    z.custom<Uint8Array>((value) => ownBytes(value) && value.length === length, { error: 'wrong length' }),
  hash: z.custom<Uint8Array>((value) => ownBytes(value) && value.length === 32, { error: 'not a hash' }),
  key32: z.custom<Uint8Array>((value) => ownBytes(value) && value.length === 32, {
    error: 'not a 32-byte key',
  }),
  signature: z.custom<Uint8Array>((value) => ownBytes(value) && value.length === 64, {
    error: 'not a signature',
  }),
  /** A group element or a proof of a kind of key: only the kind reads it. */
  element: z.custom<Uint8Array>(
    (value) => ownBytes(value) && value.length >= 1 && value.length <= limits.groupElementBytesMax,
    { error: 'not a group element' },
  ),
  kind: z.string().regex(/^[a-z0-9-]{1,16}$/),
  scheme: z.string().regex(/^[a-z0-9-]{1,16}$/),
  index: z.number().int().min(1).max(limits.membersMax),
  epoch: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  round: z.number().int().min(0).max(limits.roundMax),
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/),
  peer: z.string().min(8).max(128),
} as const;

/** Bytes as hexadecimal text, as keys of records hold them. */
export type Hex = string;
export const hex = (bytes: Uint8Array): Hex => Buffer.from(bytes).toString('hex');
export const fromHex = (text: Hex): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
/** Whether two lists hold the same bytes in the same order. */
export const sameLists = (some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean =>
  some.length === others.length && some.every((one, at) => sameBytes(one, others[at] ?? new Uint8Array()));
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);
