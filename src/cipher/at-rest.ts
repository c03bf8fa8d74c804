import {
  assertKey32,
  checkSealedBytes,
  type Layers,
  openLayers,
  readSealedHeader,
  sealedHeader,
  sealedHeaderBytes,
  sealLayers,
  tagBytes,
} from './layers.ts';
import type { CipherName } from './local-cipher.ts';

/*
 * The form of a sealed piece of the store (protocol §3, place 3). Lengths are in bytes.
 *
 *     version (1) ‖ cipher (1) ‖ outer ciphertext ‖ tag (16)
 */

export const atRestPlaintextBytesMax = 256 * 1024 * 1024;
const overheadBytes = sealedHeaderBytes + tagBytes;

/**
 * Seals `plaintext` (at most `atRestPlaintextBytesMax` bytes) in the two layers. `key32` has 32 bytes and
 * must seal this text only, ever. `context` says where the text belongs (file, number). `openAtRest` needs
 * the same key and context.
 */
export function sealAtRest(request: {
  readonly cipher: CipherName;
  readonly key32: Uint8Array;
  readonly context: Uint8Array;
  readonly plaintext: Uint8Array;
}): Uint8Array {
  const { cipher, key32, context, plaintext } = request;
  const header = sealedHeader(cipher);
  const sealed = sealLayers(atRestLayers(cipher, key32, header, context), plaintext);
  return new Uint8Array(Buffer.concat([header, sealed]));
}

/**
 * The plaintext. The sealed text itself names its cipher.
 * @throws SealError for a key, a context or any byte that differs, and for a text that is too short or too
 * long
 */
export function openAtRest(request: {
  readonly key32: Uint8Array;
  readonly context: Uint8Array;
  readonly sealed: Uint8Array;
}): Uint8Array {
  const { key32, context, sealed } = request;
  checkSealedBytes(sealed, overheadBytes, atRestPlaintextBytesMax);
  const cipher = readSealedHeader(sealed);
  const header = sealed.subarray(0, sealedHeaderBytes);
  return openLayers(atRestLayers(cipher, key32, header, context), sealed.subarray(sealedHeaderBytes));
}

function atRestLayers(
  cipher: CipherName,
  key32: Uint8Array,
  header: Uint8Array,
  context: Uint8Array,
): Layers {
  assertKey32(key32);
  const associated = Buffer.concat([header, context]);
  return { place: 'at rest', cipher, secret: key32, publicKeys: new Uint8Array(), associated };
}
