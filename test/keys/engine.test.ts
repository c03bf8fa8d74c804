import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArithmeticError } from '../../src/crypto/errors.ts';
import { gcd, mod } from '../../src/crypto/integers.ts';
import {
  blindedPow,
  blindingBytes,
  engineName,
  modPow,
  modPowProduct,
  windowPow,
} from '../../src/keys/rsa/engine.ts';
import { naivePow, samplePrimes } from '../../src/simulation/world/sample-keys.ts';

const { p, q } = samplePrimes(512);
const safeModulus = p * q;
const ofBits = (min: number, max: number): fc.Arbitrary<bigint> =>
  fc
    .integer({ min, max })
    .chain((bits) => fc.bigInt({ min: 2n ** BigInt(bits - 1), max: 2n ** BigInt(bits) - 1n }));

describe('engine', () => {
  test('OpenSSL passes the known-answer test on this machine', () => {
    expect(engineName()).toBe('openssl');
  });

  test('agrees with the naive loop for random moduli, bases and exponents of every size', () => {
    fc.assert(
      fc.property(ofBits(2, 1100), ofBits(1, 1100), ofBits(1, 1400), (modulus, base, exponent) => {
        const expected = naivePow(base, exponent, modulus);
        expect(modPow(base, exponent, modulus)).toBe(expected);
        expect(windowPow(mod(base, modulus), exponent, modulus)).toBe(expected);
      }),
      { numRuns: 150 },
    );
  });

  test('agrees with the naive loop for odd moduli that OpenSSL serves, negative bases among them', () => {
    fc.assert(
      fc.property(ofBits(513, 1100), ofBits(1, 1100), ofBits(25, 1400), (even, base, exponent) => {
        const modulus = even | 1n;
        expect(modPow(base, exponent, modulus)).toBe(naivePow(base, exponent, modulus));
        expect(modPow(-base, exponent, modulus)).toBe(naivePow(-base, exponent, modulus));
      }),
      { numRuns: 100 },
    );
  });

  test('gives the very same power whatever blinds it: exponents of either sign, below and above the divisor', () => {
    const blindings = fc.uint8Array({ minLength: blindingBytes, maxLength: blindingBytes });
    fc.assert(
      fc.property(
        ofBits(2, 1100),
        ofBits(1, 1400),
        blindings,
        fc.boolean(),
        (base, size, blinding, negative) => {
          fc.pre(gcd(base, safeModulus) === 1n);
          const exponent = negative ? -size : size;
          expect(blindedPow(base, exponent, safeModulus, blinding)).toBe(modPow(base, exponent, safeModulus));
        },
      ),
      { numRuns: 100 },
    );
    const divisor = 2n ** 127n;
    for (const blinding of [new Uint8Array(blindingBytes), new Uint8Array(blindingBytes).fill(0xff)])
      for (const exponent of [0n, 1n, divisor - 1n, divisor, divisor + 1n, 2n * divisor - 1n, divisor ** 2n])
        for (const base of [1n, 7n, safeModulus - 1n])
          expect(blindedPow(base, exponent, safeModulus, blinding)).toBe(modPow(base, exponent, safeModulus));
    expect(() => blindedPow(7n, 5n, safeModulus, new Uint8Array(blindingBytes - 1))).toThrow();
  });

  test('gives the results that OpenSSL refuses: bases 0, 1 and −1, exponent 0, results 1 and −1', () => {
    const order = (p - 1n) * (q - 1n);
    const long = 2n ** 600n;
    expect(modPow(0n, long, safeModulus)).toBe(0n);
    expect(modPow(safeModulus, long, safeModulus)).toBe(0n);
    expect(modPow(0n, 0n, safeModulus)).toBe(1n);
    expect(modPow(7n, 0n, safeModulus)).toBe(1n);
    expect(modPow(1n, long, safeModulus)).toBe(1n);
    expect(modPow(safeModulus + 1n, long, safeModulus)).toBe(1n);
    expect(modPow(-1n, long, safeModulus)).toBe(1n);
    expect(modPow(-1n, long + 1n, safeModulus)).toBe(safeModulus - 1n);
    expect(modPow(7n, order, safeModulus)).toBe(1n);
    // A quadratic residue of p and a non-residue of q would do; here −7² has order 2·odd.
    const minusOnePower = modPow(-49n, order / 4n, safeModulus);
    expect(minusOnePower).toBe(naivePow(-49n, order / 4n, safeModulus));
    expect(minusOnePower).toBe(safeModulus - 1n);
  });

  test('a negative exponent inverts, and a base without inverse is a typed error', () => {
    fc.assert(
      fc.property(ofBits(1, 511), ofBits(1, 700), (base, exponent) => {
        fc.pre(gcd(base, safeModulus) === 1n);
        const product = modPow(base, exponent, safeModulus) * modPow(base, -exponent, safeModulus);
        expect(product % safeModulus).toBe(1n);
      }),
      { numRuns: 40 },
    );
    expect(() => modPow(p, -3n, safeModulus)).toThrow(ArithmeticError);
  });

  test('a product of powers equals the powers multiplied, for exponents of both signs', () => {
    const pair = fc.tuple(ofBits(2, 500), fc.bigInt({ min: -(2n ** 400n), max: 2n ** 400n }));
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 4 }), (pairs) => {
        fc.pre(pairs.every(([base]) => gcd(base, safeModulus) === 1n));
        const expected = pairs.reduce(
          (product, [b, e]) => (product * modPow(b, e, safeModulus)) % safeModulus,
          1n,
        );
        expect(modPowProduct(pairs, safeModulus)).toBe(expected);
      }),
      { numRuns: 40 },
    );
  });
});
