import { createHash } from 'node:crypto';
import { decode, encode } from 'cborg';
import type { Generation } from './frame.ts';
import { otherFormat } from './store-error.ts';

/** The names of the two files that hold the store key in turns. */
export const slotNames = ['key-a', 'key-b'] as const;

export type SlotName = (typeof slotNames)[number];

/**
 * The version of the vault, its records, and the values in `chain/`. Other versions of Holdfast read none of
 * them.
 */
const formatVersion = 4;
const checksumBytes = 32;

/** The bytes of a slot: CBOR of `[format, generation, store key]`, and then its SHA-256. */
export function writeSlot({ number, storeKey }: Generation): Uint8Array {
  const record = encode([formatVersion, number, storeKey]);
  return new Uint8Array(Buffer.concat([record, checksum(record)]));
}

/**
 * The generation in a slot. `undefined` for bytes that `writeSlot` never writes, such as a wiped slot.
 * @throws StoreError `other-version` for a slot of another version of Holdfast
 */
export function readSlot(bytes: Uint8Array | undefined): Generation | undefined {
  if (bytes === undefined || bytes.length < checksumBytes) return undefined;
  const record = bytes.subarray(0, bytes.length - checksumBytes);
  if (!checksum(record).equals(bytes.subarray(record.length))) return undefined;
  const [version, number, storeKey] = decode(record) as [number, number, Uint8Array];
  if (version !== formatVersion)
    throw otherFormat(
      `format ${version}; this one reads ${formatVersion}`,
      version > formatVersion ? 'upgrade Holdfast on this machine' : 'use that version',
    );
  return { number, storeKey };
}

function checksum(record: Uint8Array): Buffer {
  return createHash('sha256').update(record).digest();
}
