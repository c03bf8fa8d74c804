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
 * What lies in the sealed store (protocol §3, place 3):
 *
 *   version (1) ‖ cipher (1) ‖ outer ciphertext ‖ tag (16)
 */

export const atRestPlaintextBytesMax = 256 * 1024 * 1024;
const overheadBytes = sealedHeaderBytes + tagBytes;

/**
 * Seals `plaintext` in the two layers. `key32`: 32 bytes that seal this text and no other, ever. `context`: where
 * the text belongs (file, number); `openAtRest` needs the same.
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

/** The plaintext, whichever cipher sealed it. Throws `SealError` when any byte, the key or the context differs. */
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
