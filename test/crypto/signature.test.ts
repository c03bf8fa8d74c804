import { describe, expect, test } from 'vitest';
import { EncodingError } from '../../src/crypto/errors.ts';
import { expandedHashOf, hashHex, hashOf, sha256 } from '../../src/crypto/hash.ts';
import { ed25519FromSeed, sign, verify } from '../../src/crypto/signature.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('Ed25519', () => {
  test('makes the signature of RFC 8032 §7.1, test 2', () => {
    const seed = bytes('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
    const { publicKey, secretKey } = ed25519FromSeed(seed);
    expect(publicKey).toEqual(bytes('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'));
    const signature = sign(secretKey, bytes('72'));
    expect(signature).toEqual(
      bytes(
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      ),
    );
    expect(verify(publicKey, bytes('72'), signature)).toBe(true);
  });

  test('verification is false, never an error, for whatever arrives', () => {
    const { publicKey, secretKey } = ed25519FromSeed(new Uint8Array(32).fill(7));
    const message = text('message');
    const signature = sign(secretKey, message);
    expect(verify(publicKey, text('other'), signature)).toBe(false);
    for (const bad of [new Uint8Array(0), signature.subarray(1), new Uint8Array(64).fill(255)])
      expect(verify(publicKey, message, bad)).toBe(false);
    for (const bad of [new Uint8Array(0), publicKey.subarray(1), new Uint8Array(32).fill(255)])
      expect(verify(bad, message, signature)).toBe(false);
  });

  test('a seed that was written over signs as what it is now', () => {
    const seed = new Uint8Array(32).fill(1);
    const before = ed25519FromSeed(seed).publicKey;
    seed.fill(2);
    expect(verify(before, text('x'), sign(seed, text('x')))).toBe(false);
    expect(
      verify(ed25519FromSeed(new Uint8Array(32).fill(2)).publicKey, text('x'), sign(seed, text('x'))),
    ).toBe(true);
    expect(() => sign(new Uint8Array(31), text('x'))).toThrow(EncodingError);
  });
});

describe('hash', () => {
  test('is SHA-256 of the concatenation (FIPS 180-4 example "abc")', () => {
    expect(hashHex(text('a'), text('bc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(sha256(text('abc'))).toHaveLength(32);
  });

  test('with a domain, how the parts are cut matters, and so does the domain', () => {
    const hashes = [
      hashOf('a', text('bc')),
      hashOf('a', text('b'), text('c')),
      hashOf('ab', text('c')),
      hashOf('abc'),
      hashOf('abc', text('')),
    ].map((hash) => Buffer.from(hash).toString('hex'));
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(expandedHashOf('a', 300, text('bc'))).toHaveLength(300);
  });
});
