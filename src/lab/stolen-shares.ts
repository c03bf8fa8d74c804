/** What a thief of peers' folders finds, and whether it signs. A story and tests use it. */
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { bitLength, decodeSigned } from '../crypto/integers.ts';
import { trialBlock } from '../keys/rsa/encoding.ts';
import { publicOf } from '../keys/rsa/setting.ts';
import { combine, partial } from '../keys/rsa/signing.ts';
import { FileStore } from '../node/store/file-store.ts';
import { durableFromRecords } from '../protocol/machine/durable-records.ts';
import type { Durable } from '../protocol/machine/durable-state.ts';
import { hex } from '../protocol/records/codec.ts';
import type { KeyRecord } from '../protocol/records/value.ts';

/** Blinding hides timing, and nobody measures here. */
const blinding = new Uint8Array(16);

/**
 * How often a store is copied until a copy succeeds. A daemon that rotates its store all the time changes it
 * during a copy. Each copy takes milliseconds.
 */
const copiesMax = 200;

/**
 * Gives the result of `use` on a copy of the store of `home`. The home's daemon may be running. When files
 * came or went during a copy, the store is copied again.
 */
export async function withStolenStore<T>(home: string, use: (folder: string) => T | Promise<T>): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-stolen-'));
  const folder = join(scratch, 'store');
  try {
    for (let copies = 1; !copied(join(home, 'store'), folder); copies += 1)
      if (copies === copiesMax) throw new Error(`the store of ${home} changed during ${copies} copies`);
    return await use(folder);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/**
 * Whether the copy shows one instant, as far as file names tell. Then it opens as after a power cut at that
 * instant.
 */
function copied(from: string, to: string): boolean {
  rmSync(to, { recursive: true, force: true });
  try {
    const before = namesBelow(from);
    cpSync(from, to, { recursive: true, filter: (source) => basename(source) !== 'lock' });
    return before === namesBelow(from);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

const namesBelow = (folder: string): string => readdirSync(folder, { recursive: true }).sort().join();

/** Everything durable in a copy of the store of `home`. */
export const stolenDurable = (home: string): Promise<Durable> => withStolenStore(home, openStolen);

/** Everything durable in a copy of a store. Opening it changes the copy. */
export async function openStolen(folder: string): Promise<Durable> {
  const store = new FileStore({
    folder,
    cipher: 'aes',
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  try {
    return durableFromRecords(await store.open());
  } finally {
    await store.close();
  }
}

/** All shares of one key in a copy of the store of `home`, by epoch. */
export async function stolenShares(home: string, keyId: Uint8Array): Promise<Map<number, bigint>> {
  const { shares } = await stolenDurable(home);
  return new Map(
    Object.entries(shares).flatMap(([epoch, byKey]) => {
      const share = byKey[hex(keyId)];
      return share === undefined ? [] : [[Number(epoch), decodeSigned(share)] as const];
    }),
  );
}

/** Whether these shares sign for the key. They are exactly `k`, by member index. */
export function sharesSign(key: KeyRecord, membersMax: number, shares: ReadonlyMap<number, bigint>): boolean {
  const shared = publicOf(key.public);
  const parameters = { membersMax, threshold: shares.size, modulusBits: bitLength(shared.modulus) };
  const block = trialBlock(new Uint8Array(32), key.id, shared.modulus);
  const partials = new Map(
    [...shares].map(([index, share]) => [
      index,
      partial({ key: shared, parameters, share, block, blinding }),
    ]),
  );
  return combine({ key: shared, parameters, block, partials }) !== null;
}
