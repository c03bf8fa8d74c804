/** Whatever arrives is either the one canonical encoding of what was expected, or refused with `malformed`. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { frameEnvelope, messageSchema } from '../../src/protocol/records/change-messages.ts';
import { decode, decodePiece, encode, fromHex, hex, shape } from '../../src/protocol/records/codec.ts';
import { ProtocolError } from '../../src/protocol/records/errors.ts';
import { refusalOf } from './support.ts';

const anything = z.any();
const map = z.strictObject({ a: z.number(), b: z.number() });
const read = (text: string, schema: z.ZodType = anything) =>
  refusalOf(() => decodePiece(schema, fromHex(text), 1_000));

describe('canonical CBOR (RFC 8949 §4.2)', () => {
  test.each([
    ['an integer longer than needed', '1800'],
    ['an integer of two bytes that fits one', '190001'],
    ['a length longer than needed', '580100'],
    ['an indefinite byte string', '5f4100ff'],
    ['an indefinite array', '9f00ff'],
    ['an indefinite map', 'bf616100ff'],
    ['a map key twice', 'a2616101616101'],
    ['map keys out of order', 'a2616201616100'],
    ['trailing bytes', '0000'],
    ['undefined', 'f7'],
    ['NaN', 'f97e00'],
    ['infinity', 'f97c00'],
    ['an integer as a float', 'f93c00'],
    ['a tag', 'c074323031332d30332d32315432303a30343a30305a'],
    ['a number beyond safe integers as a float', 'fb4340000000000000'],
    ['nothing', ''],
    ['half a text', '6261'],
    ['half a map', 'a26161'],
  ])('refuses %s', (_, text) => expect(read(text)).toBe('malformed'));

  test('takes the canonical form of the same things', () => {
    for (const text of ['00', '01', '4100', '80', 'a2616100616201', 'f6', 'f5'])
      expect(read(text)).toBeNull();
  });

  test('round trips whatever it may carry', () => {
    const leaf = fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constant(null),
      fc.string(),
      fc.uint8Array({ maxLength: 40 }),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.string({ maxLength: 6 }), tie('tree'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(tree, (data) => {
        const bytes = encode(data);
        expect(hex(encode(decodePiece(anything, bytes, 100_000)))).toBe(hex(bytes));
      }),
    );
  });
});

describe('bounds and shapes', () => {
  test('a message over its bound is refused before it is parsed', () => {
    expect(refusalOf(() => decodePiece(anything, encode(new Uint8Array(100)), 50))).toBe('malformed');
  });
  test('an unknown, missing or mistyped field is refused', () => {
    expect(refusalOf(() => decodePiece(map, encode({ a: 1, b: 2 }), 1_000))).toBeNull();
    expect(refusalOf(() => decodePiece(map, encode({ a: 1, b: 2, c: 3 }), 1_000))).toBe('malformed');
    expect(refusalOf(() => decodePiece(map, encode({ a: 1 }), 1_000))).toBe('malformed');
    expect(refusalOf(() => decodePiece(map, encode({ a: 1, b: '2' }), 1_000))).toBe('malformed');
  });
  test('a refusal says which field, and nothing of its content', () => {
    const secret = 'correct horse battery staple';
    expect(() => decodePiece(map, encode({ a: 1, b: secret }), 1_000)).toThrow(/b/);
    expect(() => decodePiece(map, encode({ a: 1, b: secret }), 1_000)).not.toThrow(new RegExp(secret));
  });
  test('an element of a group is not empty, and no longer than the longest of any kind', () => {
    expect(shape.element.safeParse(new Uint8Array(512).fill(1)).success).toBe(true);
    expect(shape.element.safeParse(new Uint8Array()).success).toBe(false);
    expect(shape.element.safeParse(new Uint8Array(513).fill(1)).success).toBe(false);
  });
  test('a name is lower case, short and plain', () => {
    for (const name of ['a', 'home-ca', 'p1.example', 'x'.repeat(63)])
      expect(shape.name.safeParse(name).success, name).toBe(true);
    for (const name of ['', 'A', '-a', '.a', 'a b', 'a/b', 'x'.repeat(64), 'ä', 'a\n'])
      expect(shape.name.safeParse(name).success, name).toBe(false);
  });
});

describe('arbitrary bytes', () => {
  const never = (bytes: Uint8Array) => {
    for (const read of [frameEnvelope.decode, (message: Uint8Array) => decode(messageSchema, message)])
      try {
        read(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        expect(['malformed', 'other-version']).toContain((error as ProtocolError).code);
      }
  };
  test('never give anything but a message, `malformed` or `other-version`', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), never), { numRuns: 1_000 });
  });
  test('nor does a damaged message', () => {
    const bytes = frameEnvelope.encode({ type: 'recall', epoch: 7, nonce: new Uint8Array(32) });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) =>
        never(bytes.map((old, position) => (position === at ? byte : old))),
      ),
      { numRuns: 500 },
    );
  });
});
