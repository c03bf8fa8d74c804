import { createCipheriv } from 'node:crypto';
import { Blowfish } from 'egoroof-blowfish';
import type { EncryptBlocks } from './counter-mode.ts';

/** A raw block cipher. Counter mode needs only encryption, for sealing and for opening. */
export interface BlockCipher {
  readonly keyBytes: number;
  readonly blockBytes: number;
  /**
   * Takes a key of `keyBytes` bytes. The function that it gives encrypts whole blocks, each for itself (ECB).
   */
  withKey(key: Uint8Array): EncryptBlocks;
}

function openssl(algorithm: string, key: Uint8Array): EncryptBlocks {
  return (blocks) => createCipheriv(algorithm, key, null).setAutoPadding(false).update(blocks);
}

/** AES-256 (FIPS 197). */
export const aes: BlockCipher = {
  keyBytes: 32,
  blockBytes: 16,
  withKey: (key) => openssl('aes-256-ecb', key),
};

/**
 * DES (FIPS 46-3). OpenSSL 3 has DES only in its legacy provider, and Node does not load that one. Triple DES
 * with three equal keys encrypts, decrypts and encrypts again. The result is single DES.
 */
export const des: BlockCipher = {
  keyBytes: 8,
  blockBytes: 8,
  withKey: (key) => openssl('des-ede3-ecb', Buffer.concat([key, key, key])),
};

/** Triple DES with three keys (NIST SP 800-67). */
export const tripleDes: BlockCipher = {
  keyBytes: 24,
  blockBytes: 8,
  withKey: (key) => openssl('des-ede3-ecb', key),
};

/** Blowfish (Schneier 1993) with a 256-bit key. */
export const blowfish: BlockCipher = {
  keyBytes: 32,
  blockBytes: 8,
  withKey: (key) => {
    // The input is whole blocks, and NULL padding adds nothing to those.
    const cipher = new Blowfish(key, Blowfish.MODE.ECB, Blowfish.PADDING.NULL);
    return (blocks) => (blocks.length === 0 ? blocks : cipher.encode(blocks));
  },
};
