import { expect, test } from 'vitest';
import { EncodingError } from '../../src/crypto/errors.ts';
import { isSealingKey, sealingKeyFromSeed, sharedSecret } from '../../src/crypto/key-agreement.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

test('a sealing key is the X25519 key pair of its seed (RFC 7748 §6.1, Alice)', () => {
  const seed = bytes('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  const { publicKey, secretKey } = sealingKeyFromSeed(seed);
  expect(publicKey).toEqual(bytes('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'));
  expect(secretKey).toEqual(seed);
  expect(() => sealingKeyFromSeed(seed.subarray(1))).toThrow(EncodingError);
});

test('two parties share one secret (RFC 7748 §6.1)', () => {
  const alice = bytes('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  const bob = bytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
  const secret = bytes('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');
  expect(sharedSecret(alice, sealingKeyFromSeed(bob).publicKey)).toEqual(Buffer.from(secret));
  expect(sharedSecret(bob, sealingKeyFromSeed(alice).publicKey)).toEqual(Buffer.from(secret));
});

test('a key of small order is no sealing key, nor is anything of another length', () => {
  const p = '7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed';
  const littleEndian = (n: bigint) => bytes(n.toString(16).padStart(64, '0')).reverse();
  const prime = BigInt(`0x${p}`);
  const ofOrder8 = [
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  ].map(bytes);
  const small = [0n, 1n, prime - 1n, prime, prime + 1n].map(littleEndian);
  for (const key of [...small, ...ofOrder8]) {
    expect(isSealingKey(key)).toBe(false);
    key[31] = (key[31] as number) | 0x80; // which X25519 does not look at
    expect(isSealingKey(key)).toBe(false);
  }
  expect(isSealingKey(new Uint8Array(31))).toBe(false);
  expect(isSealingKey(sealingKeyFromSeed(new Uint8Array(32).fill(7)).publicKey)).toBe(true);
});
