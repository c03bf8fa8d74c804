/** The facts about its group that a home keeps. Commands check a daemon by them. */
import { existsSync } from 'node:fs';
import type { z } from 'zod';
import type { KnownGroup } from '../client/known-group.ts';
import { type Home, ofOtherVersion, readPrivateFile, replacePrivateFile } from '../node/home/home.ts';
import { decode, encode } from '../protocol/records/codec.ts';
import { isOfOtherVersion } from '../protocol/records/errors.ts';
import { linkSchema } from '../protocol/records/link.ts';
import { orderSchema } from '../protocol/records/order.ts';
import type { Versioned } from '../protocol/records/version.ts';

/**
 * The record in a file.
 * @throws HomeError `other-version` for a later version of it
 * @throws ProtocolError for a file that is damaged
 */
function readRecord<T>(schema: z.ZodType<T> & Versioned, file: string): T {
  try {
    return decode(schema, readPrivateFile(file));
  } catch (error) {
    if (isOfOtherVersion(error)) throw ofOtherVersion(file, error);
    throw error;
  }
}

/**
 * The group as this home knows it. `seen` and `admission` throw `HomeError` or `ProtocolError` for a damaged
 * file.
 */
export const knownGroup = ({ genesis, cluster, seenChainFile, admissionFile }: Home): KnownGroup => ({
  genesis,
  cluster,
  seen: () => (existsSync(seenChainFile) ? readRecord(linkSchema, seenChainFile) : null),
  keep: (newest) => replacePrivateFile(seenChainFile, encode(newest)),
  admission: () =>
    existsSync(admissionFile)
      ? { order: readRecord(orderSchema, admissionFile), source: admissionFile }
      : null,
});
