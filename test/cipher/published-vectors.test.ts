import { createCipheriv } from 'node:crypto';
import { hchacha, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { describe, expect, test } from 'vitest';
import { aes, type BlockCipher, blowfish, des, tripleDes } from '../../src/cipher/block-ciphers.ts';
import { counterBlocks, xorBytes } from '../../src/cipher/counter-mode.ts';
import { localCipher } from '../../src/cipher/local-cipher.ts';
import { fromHex, hex } from '../../src/protocol/records/codec.ts';

function encrypt(cipher: BlockCipher, key: string, blocks: string): string {
  return hex(cipher.withKey(fromHex(key))(fromHex(blocks)));
}

describe('block ciphers agree with their published vectors', () => {
  const sp80038aKey = '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4';
  const sp80038aPlaintext =
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
    '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710';

  test('AES-256: NIST SP 800-38A, F.1.5 (ECB-AES256)', () => {
    expect(encrypt(aes, sp80038aKey, sp80038aPlaintext)).toBe(
      'f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870' +
        'b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7',
    );
  });

  test('AES-256 in counter mode: NIST SP 800-38A, F.5.5 (CTR-AES256)', () => {
    const counters = counterBlocks(16, 4, 0xf0f1f2f3f4f5f6f7f8f9fafbfcfdfeffn);
    const keystream = aes.withKey(fromHex(sp80038aKey))(counters);
    expect(hex(xorBytes(keystream, fromHex(sp80038aPlaintext)))).toBe(
      '601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5' +
        '2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6',
    );
  });

  test('DES: FIPS 81, appendix B, table B1 (ECB, "Now is the time for all ")', () => {
    const plaintext = hex(Buffer.from('Now is the time for all '));
    expect(encrypt(des, '0123456789abcdef', plaintext)).toBe(
      '3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53',
    );
  });

  test.each([
    ['8001010101010101', '0000000000000000', '95a8d72813daa94d'],
    ['0101010101010101', '8000000000000000', '95f8a5e5dd31d900'],
    ['7ca110454a1a6e57', '01a1d6d039776742', '690f5b0d9a26939b'],
  ])('DES: NBS SP 500-20, key %s', (key, plaintext, ciphertext) => {
    expect(encrypt(des, key, plaintext)).toBe(ciphertext);
  });

  test('triple DES: NIST SP 800-67, appendix B.1', () => {
    const key = '0123456789abcdef23456789abcdef01456789abcdef0123';
    const plaintext = '54686520717566636b2062726f776e20666f78206a756d70';
    expect(encrypt(tripleDes, key, plaintext)).toBe('a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900');
  });

  test.each([
    ['0000000000000000', '0000000000000000', '4ef997456198dd78'],
    ['ffffffffffffffff', 'ffffffffffffffff', '51866fd5b85ecb8a'],
    ['3000000000000000', '1000000000000001', '7d856f9a613063f2'],
    ['0123456789abcdef', '1111111111111111', '61f9c3802281b096'],
    ['fedcba9876543210', '0123456789abcdef', '0aceab0fc6a0a28d'],
    ['7ca110454a1a6e57', '01a1d6d039776742', '59c68245eb05282b'],
    ['f0e1d2c3b4a5968778695a4b3c2d1e0f0011223344556677', 'fedcba9876543210', '05044b62fa52d080'],
  ])("Blowfish: Eric Young's vectors (schneier.com, vectors2.txt), key %s", (key, plaintext, ciphertext) => {
    expect(encrypt(blowfish, key, plaintext)).toBe(ciphertext);
  });
});

describe('XChaCha20 agrees with draft-irtf-cfrg-xchacha-03', () => {
  test('section 2.2.1: HChaCha20', () => {
    const key = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
    const nonce = fromHex('000000090000004a0000000031415927');
    expect(hex(hChaCha20(key, nonce))).toBe(
      '82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc',
    );
  });

  test('appendix A.3.1: AEAD_XChaCha20_Poly1305, the outer layer', () => {
    const key = fromHex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f');
    const nonce = fromHex('404142434445464748494a4b4c4d4e4f5051525354555657');
    const associated = fromHex('50515253c0c1c2c3c4c5c6c7');
    const plaintext = Buffer.from(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " +
        'sunscreen would be it.',
    );
    expect(hex(xchacha20poly1305(key, nonce, associated).encrypt(plaintext))).toBe(
      'bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb' +
        '731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452' +
        '2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9' +
        '21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49',
    );
  });

  test("section 2.3: the keystream is OpenSSL's ChaCha20 under the HChaCha20 subkey", () => {
    const key = fromHex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f');
    const subkey = hChaCha20(key, new Uint8Array(16));
    const oracle = createCipheriv('chacha20', subkey, new Uint8Array(16)).update(new Uint8Array(1000));
    expect(hex(localCipher('xchacha20').keystream(key, 1000))).toBe(hex(oracle));
  });
});

function hChaCha20(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  const constants = new Uint32Array(new Uint8Array(Buffer.from('expand 32-byte k')).buffer);
  const words = (bytes: Uint8Array) => new Uint32Array(Uint8Array.from(bytes).buffer);
  const subkey = new Uint32Array(8);
  hchacha(constants, words(key), words(nonce), subkey);
  return new Uint8Array(subkey.buffer);
}
