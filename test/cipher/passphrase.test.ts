import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openWithPassphrase, sealWithPassphrase } from '../../src/cipher/passphrase.ts';
import { hex } from '../../src/protocol/records/codec.ts';

const plaintext = Uint8Array.from(randomBytes(40));
const entropy = Uint8Array.from(randomBytes(32));
const sealed = await sealWithPassphrase('correct horse', plaintext, entropy, { log2N: 10 });

test('the passphrase opens the file, however its letters were composed', async () => {
  expect(hex(await openWithPassphrase('correct horse', sealed))).toBe(hex(plaintext));
  const composed = await sealWithPassphrase('caf\u00e9', plaintext, entropy, { log2N: 10 });
  expect(hex(await openWithPassphrase('cafe\u0301', composed))).toBe(hex(plaintext));
});

test('the default work is accepted', async () => {
  const file = await sealWithPassphrase('p', plaintext, entropy);
  expect(hex(await openWithPassphrase('p', file))).toBe(hex(plaintext));
});

test('a wrong passphrase is refused and not repeated in the error', async () => {
  const error = await openWithPassphrase('battery staple', sealed).catch((reason: Error) => reason);
  expect(error).toMatchObject({ code: 'not-authentic', message: expect.not.stringContaining('battery') });
});

test('every changed byte and every shorter length is refused', async () => {
  for (let index = 0; index < sealed.length; index++) {
    // The second byte is the work: a lower bit of it changes the key, a higher one leaves the bounds.
    const changed = Uint8Array.from(sealed);
    changed[index]! ^= 1;
    await expect(openWithPassphrase('correct horse', changed)).rejects.toThrow();
    await expect(openWithPassphrase('correct horse', sealed.subarray(0, index))).rejects.toThrow();
  }
});

test('a file cannot ask for unbounded work or memory', async () => {
  for (const log2N of [0, 9, 19, 30, 255]) {
    const greedy = Uint8Array.from(sealed);
    greedy[1] = log2N;
    await expect(openWithPassphrase('p', greedy)).rejects.toMatchObject({ code: 'work-out-of-bounds' });
  }
  await expect(openWithPassphrase('p', new Uint8Array(2 ** 21))).rejects.toMatchObject({ code: 'too-large' });
});
