/** RSA's numbers at the border of its kind: one encoding each, and everything else refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EncodingError } from '../../src/crypto/errors.ts';
import {
  decodePublic,
  elementBytes,
  elementOf,
  encodePublic,
  isShortest,
} from '../../src/keys/rsa/numbers.ts';

const positive = fc.bigInt({ min: 1n, max: 1n << 600n });

describe('a group element', () => {
  test('travels as its shortest big-endian bytes', () => {
    fc.assert(
      fc.property(positive, (n) => {
        expect(elementOf(elementBytes(n))).toBe(n);
        expect(isShortest(elementBytes(n))).toBe(true);
      }),
    );
  });
  test('in another form is refused', () => {
    for (const bytes of [Uint8Array.of(0, 255), new Uint8Array(), new Uint8Array(4)]) {
      expect(isShortest(bytes)).toBe(false);
      expect(() => elementOf(bytes)).toThrow(EncodingError);
    }
  });
});

describe('public values', () => {
  const key = fc.record({ modulus: positive, exponent: positive, base: positive, constant: positive });

  test('are read as they were written', () => {
    fc.assert(
      fc.property(key, (one) => {
        expect(decodePublic(encodePublic(one))).toEqual({ ...one });
      }),
    );
  });
  test('have one encoding: bytes that are read are those that are written', () => {
    fc.assert(
      fc.property(key, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, at, by) => {
        const bytes = encodePublic(one);
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ by;
        try {
          expect(encodePublic(decodePublic(bytes))).toEqual(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(EncodingError);
        }
      }),
    );
  });
  test('that end too early or go on too long are refused', () => {
    const bytes = encodePublic({ modulus: 77n, exponent: 3n, base: 4n, constant: 9n });
    for (let end = 0; end < bytes.length; end += 1)
      expect(() => decodePublic(bytes.subarray(0, end))).toThrow(EncodingError);
    expect(() => decodePublic(Uint8Array.of(...bytes, 0))).toThrow(EncodingError);
  });
});
