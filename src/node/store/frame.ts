import assert from 'node:assert/strict';
import { createHash, hkdfSync } from 'node:crypto';
import { openAtRest, sealAtRest } from '../../cipher/at-rest.ts';
import type { CipherName } from '../../cipher/local-cipher.ts';
import { otherFormat, StoreError } from './store-error.ts';

/*
 * A frame is one sealed piece of the vault. It has a number within its generation. Frame 0 is the snapshot,
 * and the frames from 1 on are the journal. Lengths are in bytes.
 *
 *     "HF" (2) ‖ version (2) ‖ number (4) ‖ length of sealed (4) ‖ checksum (16) ‖ sealed
 *
 * The checksum is SHA-256 of header and sealed text, cut to 16 bytes. It finds a torn write. The seal finds a
 * forged frame. Each frame has its own key: HKDF-SHA-256 (RFC 5869) of the store key and the number.
 */

const frameMark = Uint8Array.of(0x48, 0x46);
const frameVersion = 1;
const fixedBytes = 8;
const headerBytes = fixedBytes + 4;
const checksumBytes = 16;

/** The secret of one generation of the vault. It is replaced as a whole and never used again. */
export interface Generation {
  readonly number: number;
  /** 32 bytes. */
  readonly storeKey: Uint8Array;
}

/** The frame with this number, sealed under the generation's store key. */
export function writeFrame(
  generation: Generation,
  number: number,
  cipher: CipherName,
  plaintext: Uint8Array,
): Uint8Array {
  const key32 = frameKey(generation, number);
  const sealed = sealAtRest({ cipher, key32, context: frameContext(generation, number), plaintext });
  key32.fill(0);
  const header = Buffer.concat([frameStart(number), uint32(sealed.length)]);
  return new Uint8Array(Buffer.concat([header, checksum(header, sealed), sealed]));
}

/** The result of a look at `offset` of a vault file, where frame `number` should begin. */
type FrameRead =
  | { readonly kind: 'end' }
  | { readonly kind: 'frame'; readonly sealed: Uint8Array; readonly next: number }
  | { readonly kind: 'broken' };

/**
 * Reads frame `number` at `offset` and checks its checksum. It does not open the seal. A whole frame of a later
 * version must not pass for one that a power cut tore.
 * @throws StoreError `other-version` for a whole frame of a later version
 */
export function readFrame(file: Uint8Array, offset: number, number: number): FrameRead {
  if (offset === file.length) return { kind: 'end' };
  const bytes = Buffer.from(file.buffer, file.byteOffset + offset, file.length - offset);
  const sealedStart = headerBytes + checksumBytes;
  const version = bytes.length < sealedStart ? null : versionAt(bytes, number);
  if (version === null) return { kind: 'broken' };
  const sealed = bytes.subarray(sealedStart, sealedStart + bytes.readUInt32BE(fixedBytes));
  const expected = checksum(bytes.subarray(0, headerBytes), sealed);
  if (!bytes.subarray(headerBytes, sealedStart).equals(expected)) return { kind: 'broken' };
  if (version > frameVersion)
    throw otherFormat(
      `frame version ${version}; this one reads ${frameVersion}`,
      'upgrade Holdfast on this machine',
    );
  if (version < frameVersion) return { kind: 'broken' };
  return { kind: 'frame', sealed, next: offset + sealedStart + sealed.length };
}

/**
 * Checks the number of a new frame. A reader ends the journal at a frame with a wrong number and loses all
 * later frames.
 * @throws AssertionError for another number: that is a bug
 */
export function assertNumbered(frame: Uint8Array, number: number): void {
  assert(Buffer.from(frame.subarray(0, fixedBytes)).equals(frameStart(number)), 'a frame has its own number');
}

/** Whether a whole frame with this number begins at `offset` or later. */
export function hasFrameAfter(file: Uint8Array, offset: number, number: number): boolean {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  const start = frameStart(number);
  for (let at = bytes.indexOf(start, offset); at >= 0; at = bytes.indexOf(start, at + 1)) {
    if (readFrame(file, at, number).kind === 'frame') return true;
  }
  return false;
}

/**
 * The plaintext of a frame that was read whole.
 * @throws StoreError `damaged` when this store key did not seal the frame
 */
export function openFrame(
  generation: Generation,
  number: number,
  sealed: Uint8Array,
  path: string,
): Uint8Array {
  const key32 = frameKey(generation, number);
  try {
    return openAtRest({ key32, context: frameContext(generation, number), sealed });
  } catch (error) {
    throw damaged(path, error);
  } finally {
    key32.fill(0);
  }
}

/** The error for a damaged file, with advice for the owner. */
export function damaged(path: string, cause?: unknown): StoreError {
  const advice =
    'do not restore a backup; join again with a new home, and have the operator reinstate this peer';
  return new StoreError('damaged', `${path} is damaged: ${advice}`, { cause });
}

function frameKey({ storeKey }: Generation, number: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', storeKey, new Uint8Array(), `holdfast store frame ${number}`, 32));
}

function frameContext(generation: Generation, number: number): Uint8Array {
  return Buffer.from(`holdfast vault generation ${generation.number} frame ${number}`);
}

function frameStart(number: number): Uint8Array {
  return Buffer.concat([frameMark, Uint8Array.of(0, frameVersion), uint32(number)]);
}

/** The version of the frame with this number that begins there, or null when none does. */
function versionAt(bytes: Buffer, number: number): number | null {
  const isFrame = bytes.subarray(0, 2).equals(frameMark) && bytes.readUInt32BE(4) === number;
  return isFrame ? bytes.readUInt16BE(2) : null;
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function checksum(header: Uint8Array, sealed: Uint8Array): Uint8Array {
  return createHash('sha256').update(header).update(sealed).digest().subarray(0, checksumBytes);
}
