import assert from 'node:assert/strict';
import { createHash, hkdfSync } from 'node:crypto';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blocksPerKeyMax, xorBytes } from './counter-mode.ts';
import { type CipherName, cipherNames, localCipher } from './local-cipher.ts';
import { SealError } from './seal-error.ts';

/**
 * The two layers around everything that is sealed (protocol §3). The inner layer is the local cipher in
 * counter mode. The outer layer is XChaCha20-Poly1305. HKDF-SHA-256 (RFC 5869) makes both keys from one
 * secret, each with a label of its own.
 */
export interface Layers {
  /** The kind of sealed text (`envelope`, `at rest`). A key of one kind never serves for the other. */
  readonly place: string;
  readonly cipher: CipherName;
  /** The input key material, 32 bytes. Together with `associated` it seals one plaintext only, ever. */
  readonly secret: Uint8Array;
  /** The public keys, where there are any. They are part of the HKDF info of both keys. */
  readonly publicKeys: Uint8Array;
  /** Header and context: authenticated, not encrypted. */
  readonly associated: Uint8Array;
}

/** The length of the tag of XChaCha20-Poly1305, in bytes. */
export const tagBytes = 16;

/** Each key encrypts once, so a constant nonce of zeros is safe. */
const nonce = new Uint8Array(24);

/** `plaintext` in both layers. The result is longer than `plaintext` by `tagBytes`. */
export function sealLayers(layers: Layers, plaintext: Uint8Array): Uint8Array {
  const inner = applyInnerLayer(layers, plaintext);
  const outerKey = layerKey(layers, 'outer', 32);
  const sealed = xchacha20poly1305(outerKey, nonce, layers.associated).encrypt(inner);
  outerKey.fill(0);
  return sealed;
}

/**
 * The plaintext.
 * @throws SealError `not-authentic` when a byte of the secret, the associated data or the sealed text differs
 */
export function openLayers(layers: Layers, sealed: Uint8Array): Uint8Array {
  return applyInnerLayer(layers, openOuterLayer(layers, sealed));
}

function openOuterLayer(layers: Layers, sealed: Uint8Array): Uint8Array {
  const key = layerKey(layers, 'outer', 32);
  try {
    return xchacha20poly1305(key, nonce, layers.associated).decrypt(sealed);
  } catch {
    throw new SealError('not-authentic', 'the sealed text was changed, or is meant for another key or place');
  } finally {
    key.fill(0);
  }
}

/**
 * XORs the text with the keystream. The same function removes the layer again. Every 2²⁰ blocks a new key
 * begins.
 */
function applyInnerLayer(layers: Layers, text: Uint8Array): Uint8Array {
  const cipher = localCipher(layers.cipher);
  const chunkBytes = cipher.blockBytes * blocksPerKeyMax;
  const result = new Uint8Array(text.length);
  for (let start = 0; start < text.length; start += chunkBytes) {
    const chunk = text.subarray(start, start + chunkBytes);
    const key = layerKey(layers, `inner ${start / chunkBytes}`, cipher.keyBytes);
    result.set(xorBytes(chunk, cipher.keystream(key, chunk.length)), start);
    key.fill(0);
  }
  return result;
}

function layerKey(layers: Layers, label: string, keyBytes: number): Uint8Array {
  const salt = createHash('sha256').update(layers.associated).digest();
  const text = `holdfast ${layers.place} v1, ${layers.cipher}, ${label}\0`;
  const info = Buffer.concat([Buffer.from(text), layers.publicKeys]);
  return new Uint8Array(hkdfSync('sha256', layers.secret, salt, info, keyBytes));
}

/**
 * The first two bytes of everything sealed: the format's version, and the cipher's position in `cipherNames`,
 * from 1.
 */
export function sealedHeader(cipher: CipherName): Uint8Array {
  return Uint8Array.of(1, cipherNames.indexOf(cipher) + 1);
}

export const sealedHeaderBytes = 2;

/** The cipher that a sealed text names. @throws SealError `malformed` or `unknown-cipher` */
export function readSealedHeader(sealed: Uint8Array): CipherName {
  const [version, code] = sealed;
  if (version !== 1 || code === undefined) {
    throw new SealError('malformed', 'this is not a sealed text of version 1');
  }
  const cipher = cipherNames[code - 1];
  if (cipher === undefined) throw new SealError('unknown-cipher', `no cipher has the number ${code}`);
  return cipher;
}

/** Checks the length of a sealed text. @throws SealError `too-large` or `malformed` */
export function checkSealedBytes(sealed: Uint8Array, overheadBytes: number, plaintextBytesMax: number): void {
  if (sealed.length > overheadBytes + plaintextBytesMax) {
    throw new SealError('too-large', `a sealed text here holds at most ${plaintextBytesMax} bytes`);
  }
  if (sealed.length < overheadBytes) throw new SealError('malformed', 'the sealed text is cut short');
}

/** Checks that a key has 32 bytes. @throws AssertionError otherwise: keys come from our own code */
export function assertKey32(key: Uint8Array): void {
  assert.equal(key.length, 32, 'this key has 32 bytes');
}
