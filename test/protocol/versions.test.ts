/**
 * Versions of records: a record of a later version is named as such, wherever it comes from and whatever else it
 * holds.
 */
import { globSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { checkedData, decode, decodeJson, encode } from '../../src/protocol/records/codec.ts';
import { ProtocolError } from '../../src/protocol/records/errors.ts';
import { recordSchemas, versionIn } from '../../src/protocol/records/version.ts';

const root = resolve(import.meta.dirname, '../../src');
const sources = globSync(`${root}/**/*.ts`).map((file) => ({ file, text: readFileSync(file, 'utf8') }));
// Every file that describes a record puts it on the list when it is imported.
const describing = sources.filter(({ text }) =>
  /\b(?:record|recordUnion|around|envelope)\(\s*['\w]/.test(text),
);
for (const { file } of describing) await import(file);

const later = 99;
const saidOf = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    if (error instanceof ProtocolError) return `${error.code} ${error.action}: ${error.message}`;
    throw error;
  }
  return 'read';
};
const named = (what: string, version: number, known: number) =>
  `other-version ignore: ${what} has version ${version}, and this Holdfast knows version ${known}: upgrade Holdfast on this machine`;

const isNamed =
  /^other-version ignore: (?:an?|the) [a-zA-Z ]+ has version 99, and this Holdfast knows version \d+: upgrade/;

test('the list has every record of the protocol, of members, of files and of the store', () => {
  expect([...new Set(recordSchemas.map(({ record }) => record.what))].sort()).toMatchInlineSnapshot(`
    [
      "a Have",
      "a Ready",
      "a client key",
      "a dealing",
      "a decryption that waits for its answer",
      "a frame",
      "a genesis",
      "a link",
      "a memory",
      "a message of a recovery",
      "a message of an epoch change",
      "a proposal",
      "a question about the use of a key",
      "a record of the store",
      "a request for admission",
      "a request to use a key",
      "a value",
      "a vote",
      "an Attend",
      "an accusation",
      "an answer about the use of a key",
      "an answer of the lobby",
      "an invitation",
      "an operator key",
      "an order",
      "the public half of a dealing",
    ]
  `);
});

test('only what stands in a record is decoded without a version of its own', () => {
  const users = sources.filter(({ text }) => text.includes('decodePiece('));
  expect(users.map(({ file }) => relative(root, file)).sort()).toEqual([
    'api/wire.ts',
    'protocol/records/codec.ts',
    'sealing/partials.ts',
  ]);
});

describe.each(
  recordSchemas.map(({ schema, record }, at) => ({ name: `${at} ${record.what}`, schema, record })),
)('$name', ({ schema, record }) => {
  const { what, version } = record;
  const decoded = Object.assign(schema, { record });
  const read = (bytes: Uint8Array) => saidOf(() => decode(decoded, bytes));

  test('of a later version is named as such, whatever follows its version', () => {
    for (const newer of [version + 1, 23, 24, 255, 256, 65_535, 65_536]) {
      const fields = { v: newer, later: { list: [1, new Uint8Array(3)] } };
      expect(read(encode(fields))).toBe(named(what, newer, version));
    }
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`field${at}`, at]));
    expect(read(encode({ v: later, ...many }))).toBe(named(what, later, version));
    // What this version could not even parse.
    const strange = Uint8Array.of(...encode({ v: later, more: 0 }).subarray(0, 5), 0xff, 0xfe, 0xc0);
    expect(read(strange)).toBe(named(what, later, version));
  });

  test('with a version that is none is malformed', () => {
    for (const wrong of [0, -1, 1.5, '2', null, [2], true])
      expect(read(encode({ v: wrong })), String(wrong)).toContain('malformed reject');
    expect(read(encode({}))).toContain('malformed reject');
  });

  test('of a later version is named inside of another record too', () => {
    const places = placesIn(schema);
    expect(places.length).toBeGreaterThan(0);
    for (const data of places)
      expect(
        saidOf(() => checkedData(schema, data)),
        JSON.stringify(data),
      ).toMatch(isNamed);
  });

  test('of a later version is named in a text too', () => {
    const isAround = schema instanceof z.ZodObject && schema.shape.v === undefined;
    const newer = { v: later, holdfast: 'anything' };
    const text = JSON.stringify(isAround ? { body: newer } : newer);
    expect(saidOf(() => decodeJson(decoded, text))).toMatch(isNamed);
  });

  test('has its version before all other fields', () => {
    const isOneLetter = (name: string) => name.length === 1 && name !== 'v';
    for (const { shape } of objectsIn(schema)) expect(Object.keys(shape).filter(isOneLetter)).toEqual([]);
  });
});

/** The schemas from which a schema is made. */
function partsOf(
  schema: z.core.$ZodType,
): Array<{ part: z.core.$ZodType; wrap: (data: unknown) => unknown }> {
  const same = (data: unknown) => data;
  const { def } = schema._zod;
  return Object.entries(def).flatMap(([name, value]) => {
    if (name === 'shape')
      return Object.entries(value as Record<string, z.core.$ZodType>).map(([field, part]) => ({
        part,
        wrap: (data: unknown) => ({ [field]: data }),
      }));
    const found = [value].flat().filter((each) => each instanceof z.core.$ZodType);
    const wrap = def.type === 'array' ? (data: unknown) => [data] : same;
    return found.map((part) => ({ part, wrap }));
  });
}

function objectsIn(schema: z.core.$ZodType): z.ZodObject[] {
  const below = partsOf(schema).flatMap(({ part }) => objectsIn(part));
  return schema instanceof z.ZodObject ? [schema, ...below] : below;
}

/** Data that has nothing but a later version of one record, for each place where the schema has one. */
function placesIn(schema: z.core.$ZodType): unknown[] {
  if (schema instanceof z.ZodObject && schema.shape.v !== undefined) {
    const { v: _, ...others } = schema.shape;
    return [
      { v: later, more: [] },
      ...placesIn(z.object(others)).map((data) => ({ v: 1, ...(data as object) })),
    ];
  }
  return partsOf(schema).flatMap(({ part, wrap }) => placesIn(part).map(wrap));
}

test('the version of any bytes is read without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const found = versionIn(bytes);
      expect(found === null || (Number.isSafeInteger(found) && found >= 0)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  for (const cut of [0, 1, 2, 3]) expect(versionIn(encode({ v: 1 }).subarray(0, cut))).toBeNull();
});
