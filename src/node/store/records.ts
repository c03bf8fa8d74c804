/** Records as the plaintext of a frame. */
import { decode, encode } from 'cborg';
import { atRestPlaintextBytesMax } from '../../cipher/at-rest.ts';
import { StoreError } from './store-error.ts';

/** New values by key; `null` deletes. */
export type Changes = ReadonlyMap<string, Uint8Array | null>;

export function encodeRecords(changes: Changes): Uint8Array {
  const plaintext = encode([...changes]);
  if (plaintext.length > atRestPlaintextBytesMax) {
    throw new StoreError('too-large', `the store holds at most ${atRestPlaintextBytesMax} bytes of records`);
  }
  return plaintext;
}

export function decodeRecords(plaintext: Uint8Array): Changes {
  // Authentic, so it is what `encodeRecords` wrote. The values are copies: they outlive the plaintext.
  const entries = decode(plaintext) as [string, Uint8Array | null][];
  return new Map(entries.map(([key, value]) => [key, value && Uint8Array.from(value)]));
}

/** About as many as their plaintext has. */
export function bytesOf(changes: Changes): number {
  let bytes = 0;
  for (const [key, value] of changes) bytes += key.length + (value?.length ?? 0);
  return bytes;
}
