/** The facts about its group that a home keeps. Commands check a daemon by them. */
import { existsSync } from 'node:fs';
import type { KnownGroup } from '../client/known-group.ts';
import { type Home, readPrivateFile, replacePrivateFile } from '../node/home/home.ts';
import { decode, encode } from '../protocol/records/codec.ts';
import { linkSchema } from '../protocol/records/link.ts';
import { orderSchema } from '../protocol/records/order.ts';

/**
 * The group as this home knows it. `seen` and `admission` throw `HomeError` or `ProtocolError` for a damaged
 * file.
 */
export const knownGroup = ({ genesis, cluster, seenChainFile, admissionFile }: Home): KnownGroup => ({
  genesis,
  cluster,
  seen: () => (existsSync(seenChainFile) ? decode(linkSchema, readPrivateFile(seenChainFile)) : null),
  keep: (newest) => replacePrivateFile(seenChainFile, encode(newest)),
  admission: () =>
    existsSync(admissionFile)
      ? { order: decode(orderSchema, readPrivateFile(admissionFile)), source: admissionFile }
      : null,
});
