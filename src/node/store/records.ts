/** Converts records to and from the plaintext of a frame (CBOR). */
import { decode, encode } from 'cborg';
import { atRestPlaintextBytesMax } from '../../cipher/at-rest.ts';
import { StoreError } from './store-error.ts';

/** New values by key. `null` deletes the record. */
export type Changes = ReadonlyMap<string, Uint8Array | null>;

/** The plaintext of a frame. @throws StoreError `too-large` */
export function encodeRecords(changes: Changes): Uint8Array {
  const plaintext = encode([...changes]);
  if (plaintext.length > atRestPlaintextBytesMax) {
    throw new StoreError('too-large', `the store holds at most ${atRestPlaintextBytesMax} bytes of records`);
  }
  return plaintext;
}

/** The inverse of `encodeRecords`. The plaintext must be authentic. */
export function decodeRecords(plaintext: Uint8Array): Changes {
  // The plaintext is authentic, so `encodeRecords` wrote it. The values are copies because they outlive the
  // plaintext.
  const entries = decode(plaintext) as [string, Uint8Array | null][];
  return new Map(entries.map(([key, value]) => [key, value && Uint8Array.from(value)]));
}

/** The approximate length of the records' plaintext, in bytes. */
export function bytesOf(changes: Changes): number {
  let bytes = 0;
  for (const [key, value] of changes) bytes += key.length + (value?.length ?? 0);
  return bytes;
}
