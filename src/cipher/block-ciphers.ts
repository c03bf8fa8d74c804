import { createCipheriv } from 'node:crypto';
import { Blowfish } from 'egoroof-blowfish';
import type { EncryptBlocks } from './counter-mode.ts';

/** A raw block cipher. Only encryption is needed: counter mode uses it in both directions. */
export interface BlockCipher {
  readonly keyBytes: number;
  readonly blockBytes: number;
  /** Key of `keyBytes` bytes → the encryption of whole blocks, each for itself (ECB). */
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
 * DES (FIPS 46-3). OpenSSL 3 offers it only in its legacy provider, which Node does not load; triple DES with
 * three equal keys encrypts, decrypts and encrypts again, which *is* single DES.
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
    // NULL padding adds nothing to whole blocks.
    const cipher = new Blowfish(key, Blowfish.MODE.ECB, Blowfish.PADDING.NULL);
    return (blocks) => (blocks.length === 0 ? blocks : cipher.encode(blocks));
  },
};
