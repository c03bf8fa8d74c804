/**
 * Versions of records. A record that is read alone (a signed body, a frame, a file, a record of the store) is
 * a map with a field `v`, its version. Canonical CBOR sorts names by length, and no other field has a name of
 * one letter. So the version stands in the first bytes of a record, and is read whatever follows it.
 */
import { z } from 'zod';
import { ProtocolError } from './errors.ts';

/** The name of a kind of record in errors, and the version of it that this program reads and writes. */
export interface RecordKind {
  /** With its article: `a frame`. */
  readonly what: string;
  readonly version: number;
}
/** The mark of a schema whose data is read alone. `decode` takes such schemas only. */
export interface Versioned {
  readonly record: RecordKind;
}

interface RecordSchema extends Versioned {
  readonly schema: z.ZodType;
}
const everyRecord: RecordSchema[] = [];
/** Every record of the modules that are imported so far, for tests. */
export const recordSchemas: readonly RecordSchema[] = everyRecord;

function listed<Schema extends z.ZodType>(what: string, version: number, schema: Schema): Schema & Versioned {
  const named = { record: { what, version } };
  everyRecord.push({ schema, ...named });
  return Object.assign(schema, named);
}

/** The kind of record to which a field `v` belongs. */
const kindOfField = new WeakMap<z.core.$ZodType, RecordKind>();

/** The field `v` of a record. */
export function versionOf<const V extends number>(kind: {
  readonly what: string;
  readonly version: V;
}): z.ZodLiteral<V> {
  const field = z.literal(kind.version);
  kindOfField.set(field, kind);
  return field;
}

/** A record: the field `v`, and the fields of `shape`. */
export const record = <const V extends number, Shape extends z.ZodRawShape>(
  what: string,
  version: V,
  shape: Shape,
) => listed(what, version, z.strictObject({ v: versionOf({ what, version }), ...shape }));

/** One of several records, which a field tells apart. All have one version. */
export const recordUnion = <Schema extends z.ZodType>(what: string, version: number, union: Schema) =>
  listed(what, version, union);

/**
 * A record with what stands around it, such as its signatures. The whole has no version of its own: a later
 * shape of it has a record of a later version in it.
 */
export const around = <Schema extends z.ZodType>({ what, version }: RecordKind, schema: Schema) =>
  listed(what, version, schema);

/** The version in the first bytes of a record. Null for bytes that do not begin as one. Reads ten bytes at most. */
export function versionIn(bytes: Uint8Array): number | null {
  const [map = 0] = bytes;
  // A map of at least one entry: up to 23 of them, or with their number in one or two bytes.
  const at = map > 0xa0 && map < 0xb8 ? 1 : map === 0xb8 ? 2 : map === 0xb9 ? 3 : null;
  if (at === null || bytes[at] !== 0x61 || bytes[at + 1] !== 0x76) return null;
  const first = bytes[at + 2] ?? 0xff;
  if (first < 0x18) return first;
  const length = { 24: 1, 25: 2, 26: 4 }[first] ?? 0;
  const digits = bytes.subarray(at + 3, at + 3 + length);
  return length === 0 || digits.length < length ? null : digits.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** The error for a record that is whole and of a later version. It is nobody's fault. */
const otherVersion = ({ what, version }: RecordKind, found: number): ProtocolError =>
  new ProtocolError(
    'other-version',
    `${what} has version ${found}, and this Holdfast knows version ${version}: upgrade Holdfast on this machine`,
    { action: 'ignore' },
  );

/** @throws ProtocolError `other-version` for bytes that begin as a later version of `kind` */
export function checkVersion(kind: RecordKind, bytes: Uint8Array): void {
  const found = versionIn(bytes);
  if (found !== null && found > kind.version) throw otherVersion(kind, found);
}

/**
 * The same for a text that begins with words and a version. The first group of `pattern` is the version, in
 * decimal digits.
 * @throws ProtocolError `other-version`
 */
export function checkTextVersion(kind: RecordKind, pattern: RegExp, text: string): void {
  const found = Number(pattern.exec(text)?.[1] ?? 0);
  if (Number.isSafeInteger(found) && found > kind.version) throw otherVersion(kind, found);
}

/** Whether decoded data is a map, or any other object. */
export const isMap = (data: unknown): data is Record<PropertyKey, unknown> =>
  typeof data === 'object' && data !== null;

/**
 * The `other-version` error for decoded data with a later version of a record, at any place where `schema` has
 * a record. Null when there is none. Other faults of the data count less, because a later version may have
 * other fields.
 */
export function otherVersionIn(schema: z.core.$ZodType, data: unknown): ProtocolError | null {
  if (schema instanceof z.ZodObject) {
    if (!isMap(data)) return null;
    const kind = schema.shape.v && kindOfField.get(schema.shape.v);
    const found = data.v;
    if (
      kind !== undefined &&
      typeof found === 'number' &&
      Number.isSafeInteger(found) &&
      found > kind.version
    )
      return otherVersion(kind, found);
    return firstNewer(Object.entries(schema.shape), ([name, field]) => otherVersionIn(field, data[name]));
  }
  if (schema instanceof z.ZodArray)
    return Array.isArray(data) ? firstNewer(data, (item) => otherVersionIn(schema.element, item)) : null;
  if (schema instanceof z.ZodUnion || schema instanceof z.ZodDiscriminatedUnion)
    return firstNewer(schema.options, (option) => otherVersionIn(option, data));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return otherVersionIn(schema.unwrap(), data);
  if (schema instanceof z.ZodPipe || schema instanceof z.ZodCodec) return otherVersionIn(schema.in, data);
  return null;
}

function firstNewer<T>(items: readonly T[], look: (item: T) => ProtocolError | null): ProtocolError | null {
  for (const item of items) {
    const newer = look(item);
    if (newer !== null) return newer;
  }
  return null;
}
