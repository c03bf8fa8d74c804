/** The records of a peer's store and of its archive. Each has a version, because each is read alone. */
import { decode as cborDecode } from 'cborg';
import { z } from 'zod';
import { encode } from './codec.ts';
import { ProtocolError } from './errors.ts';
import { checkVersion, isMap, record } from './version.ts';

const storedSchema = record('a record of the store', 1, { content: z.unknown() });
type Stored = z.infer<typeof storedSchema>;

/** The bytes of a record with this content: plain data, as `encode` takes it. */
export const encodeStored = (content: unknown): Uint8Array => encode({ v: 1, content } satisfies Stored);

/**
 * The content of a record that `encodeStored` made. It is not checked: it comes from this peer's own sealed
 * store, or the caller checks it.
 * @throws ProtocolError `other-version` for a later version
 * @throws ProtocolError `malformed` for bytes that are no such record
 */
export function decodeStored(bytes: Uint8Array): unknown {
  checkVersion(storedSchema.record, bytes);
  const stored: unknown = cborDecode(bytes);
  if (!isMap(stored) || stored.v !== 1) throw new ProtocolError('malformed', 'this is no record of a store');
  return stored.content;
}
