import { expect, it } from 'vitest';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

it('a sealing key is the X25519 key pair of its seed (RFC 7748 §6.1, Alice)', () => {
  const seed = bytes('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  const { publicKey, secretKey } = sealingKeyFromSeed(seed);
  expect(publicKey).toEqual(bytes('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'));
  expect(secretKey).toEqual(seed);
  expect(() => sealingKeyFromSeed(seed.subarray(1))).toThrow(RangeError);
});
