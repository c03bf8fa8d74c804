import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArithmeticError, EncodingError } from '../../src/crypto/errors.ts';
import {
  bitLength,
  bytesToInteger,
  decodeSigned,
  encodeSigned,
  factorial,
  gcd,
  integerToBytes,
  mod,
  modInverse,
} from '../../src/crypto/integers.ts';

const anyInteger = fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n });

describe('integers', () => {
  test('a signed encoding is read back, and is the only one that is accepted', () => {
    fc.assert(
      fc.property(anyInteger, (n) => {
        expect(decodeSigned(encodeSigned(n))).toBe(n);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
        let n: bigint;
        try {
          n = decodeSigned(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(EncodingError);
          return;
        }
        expect(encodeSigned(n)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
    expect(encodeSigned(0n)).toEqual(new Uint8Array([0]));
    for (const bad of [[], [1], [0, 0], [1, 0, 5], [2, 5]])
      expect(() => decodeSigned(new Uint8Array(bad))).toThrow(EncodingError);
  });

  test('bytes of a fixed length hold every integer that fits and no other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(integerToBytes(bytesToInteger(bytes), bytes.length)).toEqual(bytes);
      }),
    );
    expect(() => integerToBytes(256n, 1)).toThrow(RangeError);
    expect(() => integerToBytes(-1n, 4)).toThrow(RangeError);
  });

  test('bit lengths are those of binary notation', () => {
    expect(bitLength(0n)).toBe(0);
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 300n }), (n) => {
        expect(bitLength(n)).toBe(n.toString(2).length);
        expect(bitLength(-n)).toBe(bitLength(n));
      }),
    );
  });

  test('there is an inverse where the greatest common divisor is 1, and nowhere else', () => {
    fc.assert(
      fc.property(anyInteger, fc.bigInt({ min: 2n, max: 2n ** 300n }), (a, m) => {
        if (gcd(a, m) === 1n) expect(mod(modInverse(a, m) * a, m)).toBe(1n);
        else expect(() => modInverse(a, m)).toThrow(ArithmeticError);
      }),
    );
    expect(factorial(20)).toBe(2432902008176640000n);
  });
});
