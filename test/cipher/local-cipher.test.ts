import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { counterBlocks } from '../../src/cipher/counter-mode.ts';
import { cipherNames, localCipher } from '../../src/cipher/local-cipher.ts';
import { mixKeystream } from '../../src/cipher/mixing.ts';
import { hex } from '../../src/protocol/records/codec.ts';

describe('counter blocks', () => {
  test('count as one big-endian number as wide as the block, and wrap', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), fc.integer({ min: 1, max: 40 }), (first, count) => {
        const blocks = counterBlocks(8, count, first);
        for (let index = 0; index < count; index++) {
          const value = (first + BigInt(index)) % 2n ** 64n;
          const expected = value.toString(16).padStart(16, '0');
          expect(hex(blocks.subarray(index * 8, index * 8 + 8))).toBe(expected);
        }
      }),
      { examples: [[2n ** 64n - 2n, 4] as [bigint, number], [0xfffen, 3] as [bigint, number]] },
    );
  });
});

describe.each(cipherNames)('local cipher %s', (name) => {
  const cipher = localCipher(name);
  const keys = fc.uint8Array({ minLength: cipher.keyBytes, maxLength: cipher.keyBytes });

  test('a longer keystream begins with the shorter one', () => {
    fc.assert(
      fc.property(keys, fc.nat(300), fc.nat(300), (key, a, b) => {
        const [short, long] = a < b ? [a, b] : [b, a];
        const keystream = cipher.keystream(key, long);
        expect(keystream.length).toBe(long);
        expect(hex(cipher.keystream(key, short))).toBe(hex(keystream.subarray(0, short)));
      }),
    );
  });

  test('two keys give two keystreams', () => {
    // 0x00 and 0x02 differ outside DES's parity bits.
    const one = cipher.keystream(new Uint8Array(cipher.keyBytes), 64);
    const other = cipher.keystream(new Uint8Array(cipher.keyBytes).fill(2), 64);
    expect(hex(one)).not.toBe(hex(other));
  });

  test('a key gives at most 2^20 blocks, and has exactly its own length', () => {
    const key = new Uint8Array(cipher.keyBytes);
    expect(() => cipher.keystream(key, cipher.blockBytes * 2 ** 20 + 1)).toThrow('at most 2^20 blocks');
    expect(() => cipher.keystream(key.subarray(1), 1)).toThrow(`has ${cipher.keyBytes} bytes`);
  });

  test('mixing twice gives the system randomness back, so nothing of it is lost', () => {
    fc.assert(
      fc.property(keys, fc.uint8Array({ maxLength: 200 }), (key, systemRandom) => {
        const mixed = mixKeystream(name, key, systemRandom);
        expect(hex(mixKeystream(name, key, mixed))).toBe(hex(systemRandom));
      }),
    );
  });
});
