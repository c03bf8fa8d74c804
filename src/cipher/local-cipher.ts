import assert from 'node:assert/strict';
import { xchacha20 } from '@noble/ciphers/chacha.js';
import { aes, type BlockCipher, blowfish, des, tripleDes } from './block-ciphers.ts';
import { blocksPerKeyMax, counterKeystream } from './counter-mode.ts';

/**
 * The ciphers that a peer can choose from. The sealed formats store the position in this list (see
 * `layers.ts`), so new names go to the end.
 */
export const cipherNames = ['aes', 'blowfish', 'des', '3des', 'xchacha20'] as const;

export type CipherName = (typeof cipherNames)[number];

/** A peer's own cipher, as a source of keystream (protocol §3, "The local cipher"). */
interface LocalCipher {
  readonly name: CipherName;
  readonly keyBytes: number;
  readonly blockBytes: number;
  /**
   * The first `length` bytes of the keystream under `key` (`keyBytes` bytes). The counter begins at 0. There
   * is no nonce, because every key encrypts once.
   * @throws AssertionError for more than 2²⁰ blocks or a key of another length
   */
  keystream(key: Uint8Array, length: number): Uint8Array;
}

type Generate = (key: Uint8Array, length: number) => Uint8Array;

function checked(name: CipherName, keyBytes: number, blockBytes: number, generate: Generate): LocalCipher {
  return {
    name,
    keyBytes,
    blockBytes,
    keystream: (key, length) => {
      assert.equal(key.length, keyBytes, `a key of ${name} has ${keyBytes} bytes`);
      assert(length <= blockBytes * blocksPerKeyMax, `one key of ${name} gives at most 2^20 blocks`);
      return generate(key, length);
    },
  };
}

function counterMode(name: CipherName, { keyBytes, blockBytes, withKey }: BlockCipher): LocalCipher {
  return checked(name, keyBytes, blockBytes, (key, length) =>
    counterKeystream(withKey(key), blockBytes, length),
  );
}

const localCiphers: Readonly<Record<CipherName, LocalCipher>> = {
  aes: counterMode('aes', aes),
  blowfish: counterMode('blowfish', blowfish),
  des: counterMode('des', des),
  '3des': counterMode('3des', tripleDes),
  // XChaCha20 is a stream cipher with a counter of its own (draft-irtf-cfrg-xchacha-03). Its nonce is fixed
  // at zero.
  xchacha20: checked('xchacha20', 32, 64, (key, length) =>
    xchacha20(key, new Uint8Array(24), new Uint8Array(length)),
  ),
};

export function localCipher(name: CipherName): LocalCipher {
  return localCiphers[name];
}
