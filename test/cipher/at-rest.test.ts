import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openAtRest, sealAtRest } from '../../src/cipher/at-rest.ts';
import { cipherNames } from '../../src/cipher/local-cipher.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { sealErrorCode } from './support.ts';

const key32 = Uint8Array.from(randomBytes(32));
const context = Buffer.from('frame 7');
const plaintext = Uint8Array.from(randomBytes(50));

test.each(cipherNames)('what %s sealed at rest opens with the key and context only', (cipher) => {
  const sealed = sealAtRest({ cipher, key32, context, plaintext });
  expect(hex(openAtRest({ key32, context, sealed }))).toBe(hex(plaintext));
  const otherKey = Uint8Array.from(randomBytes(32));
  expect(sealErrorCode(() => openAtRest({ key32: otherKey, context, sealed }))).toBe('not-authentic');
  const otherContext = Buffer.from('frame 8');
  expect(sealErrorCode(() => openAtRest({ key32, context: otherContext, sealed }))).toBe('not-authentic');
  for (let index = 0; index < sealed.length; index++) {
    const changed = Uint8Array.from(sealed);
    changed[index]! ^= 1;
    expect(sealErrorCode(() => openAtRest({ key32, context, sealed: changed }))).toBeDefined();
    expect(
      sealErrorCode(() => openAtRest({ key32, context, sealed: sealed.subarray(0, index) })),
    ).toBeDefined();
  }
});

test('a text of more than 2^20 DES blocks gets a second key, not an error', () => {
  const long = new Uint8Array(8 * 2 ** 20 + 100);
  const sealed = sealAtRest({ cipher: 'des', key32, context, plaintext: long });
  expect(openAtRest({ key32, context, sealed }).every((byte) => byte === 0)).toBe(true);
});
