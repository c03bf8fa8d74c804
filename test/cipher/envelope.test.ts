import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { envelopeOverheadBytes, envelopePlaintextBytesMax, open, seal } from '../../src/cipher/envelope.ts';
import { cipherNames } from '../../src/cipher/local-cipher.ts';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { fromHex, hex } from '../../src/protocol/records/codec.ts';
import { sealErrorCode } from './support.ts';

const receiver = sealingKeyFromSeed(Uint8Array.from(randomBytes(32)));
const entropy = Uint8Array.from(randomBytes(32));
const context = Buffer.from('epoch 5, dealing d, from 1 to 2');
const plaintext = Uint8Array.from(randomBytes(40));

function openError(changes: { secretKey?: Uint8Array; context?: Uint8Array; envelope: Uint8Array }) {
  return sealErrorCode(() => open({ secretKey: receiver.secretKey, context, ...changes }));
}

test("X25519 sealing keys agree with RFC 7748, section 6.1 (Alice's key pair)", () => {
  const seed = fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  expect(hex(sealingKeyFromSeed(seed).publicKey)).toBe(
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  );
});

describe.each(cipherNames)('an envelope of a sender with %s', (cipher) => {
  const envelope = seal({ cipher, receiverKey: receiver.publicKey, entropy, context, plaintext });

  test('is opened by its receiver, whatever the plaintext', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (text) => {
        const sealed = seal({ cipher, receiverKey: receiver.publicKey, entropy, context, plaintext: text });
        expect(sealed.length).toBe(text.length + envelopeOverheadBytes);
        expect(hex(open({ secretKey: receiver.secretKey, context, envelope: sealed }))).toBe(hex(text));
      }),
      { numRuns: 20 },
    );
  });

  test('is refused when any byte of it changes', () => {
    for (let index = 0; index < envelope.length; index++) {
      for (const bit of [1, 0x80]) {
        const changed = Uint8Array.from(envelope);
        changed[index]! ^= bit;
        expect(openError({ envelope: changed })).toMatch(/^(malformed|unknown-cipher|not-authentic)$/);
      }
    }
  });

  test('is refused at every shorter length, and with a byte more', () => {
    for (let length = 0; length < envelope.length; length++) {
      expect(openError({ envelope: envelope.subarray(0, length) })).toMatch(/^(malformed|not-authentic)$/);
    }
    expect(openError({ envelope: Buffer.concat([envelope, Uint8Array.of(0)]) })).toBe('not-authentic');
  });

  test('is refused for another receiver, and in another context', () => {
    const { secretKey } = sealingKeyFromSeed(Uint8Array.from(randomBytes(32)));
    expect(openError({ envelope, secretKey })).toBe('not-authentic');
    expect(openError({ envelope, context: Buffer.from('epoch 6') })).toBe('not-authentic');
  });
});

test('the same plaintext looks different in every context, and for every cipher', () => {
  const seen = new Set<string>();
  for (const cipher of cipherNames) {
    for (const where of ['epoch 1', 'epoch 2']) {
      const request = {
        cipher,
        receiverKey: receiver.publicKey,
        entropy,
        context: Buffer.from(where),
        plaintext,
      };
      seen.add(hex(seal(request).subarray(34)));
    }
  }
  expect(seen.size).toBe(2 * cipherNames.length);
});

test('public keys of small order are refused, in a seal and in an envelope', () => {
  // RFC 7748 §6.1 and Bernstein, "Curve25519" (the points of order 1, 2, 4 and 8).
  const smallOrder = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
  ].map(fromHex);
  for (const receiverKey of smallOrder) {
    expect(sealErrorCode(() => seal({ cipher: 'aes', receiverKey, entropy, context, plaintext }))).toBe(
      'weak-public-key',
    );
    const envelope = Buffer.concat([Uint8Array.of(1, 1), receiverKey, new Uint8Array(60)]);
    expect(openError({ envelope })).toBe('weak-public-key');
  }
});

test('sizes are bounded before any work is done', () => {
  const request = { cipher: 'aes', receiverKey: receiver.publicKey, entropy, context } as const;
  const tooLong = new Uint8Array(envelopePlaintextBytesMax + 1);
  expect(sealErrorCode(() => seal({ ...request, plaintext: tooLong }))).toBe('too-large');
  expect(openError({ envelope: new Uint8Array(envelopePlaintextBytesMax + 1000) })).toBe('too-large');
  const shortKey = receiver.publicKey.subarray(1);
  expect(sealErrorCode(() => seal({ ...request, receiverKey: shortKey, plaintext }))).toBe('malformed');
});

test('errors never hold the plaintext, the secret key or the entropy', () => {
  const envelope = seal({ cipher: 'des', receiverKey: receiver.publicKey, entropy, context, plaintext });
  try {
    open({ secretKey: receiver.secretKey, context: Buffer.from('other'), envelope });
  } catch (error) {
    const text = String((error as Error).stack);
    for (const secret of [plaintext, receiver.secretKey, entropy]) expect(text).not.toContain(hex(secret));
  }
  expect.assertions(3);
});
