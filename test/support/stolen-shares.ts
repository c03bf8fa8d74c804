/** What a thief of peers' folders finds, and whether it signs: for the demo and the tests. */
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { trialBlock } from '../../src/crypto/encoding.ts';
import { bitLength, decodeSigned } from '../../src/crypto/integers.ts';
import { combine, partial } from '../../src/crypto/signing.ts';
import { FileStore } from '../../src/node/store/file-store.ts';
import { hex } from '../../src/protocol/codec.ts';
import { durableFromRecords } from '../../src/protocol/durable-records.ts';
import { type KeyRecord, publicOf } from '../../src/protocol/value.ts';

/** All shares of one key in a copy of the store of `home`, by epoch. */
export async function stolenShares(home: string, keyId: Uint8Array): Promise<Map<number, bigint>> {
  const copy = mkdtempSync(join(tmpdir(), 'holdfast-stolen-'));
  const folder = join(copy, 'store');
  cpSync(join(home, 'store'), folder, { recursive: true, filter: (source) => basename(source) !== 'lock' });
  const store = new FileStore({
    folder,
    cipher: 'aes',
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  try {
    const { shares } = durableFromRecords(await store.open());
    return new Map(
      Object.entries(shares).flatMap(([epoch, byKey]) => {
        const share = byKey[hex(keyId)];
        return share === undefined ? [] : [[Number(epoch), decodeSigned(share)] as const];
      }),
    );
  } finally {
    await store.close();
    rmSync(copy, { recursive: true });
  }
}

/** Whether exactly `k` shares, by member index, sign for the key. */
export function sharesSign(key: KeyRecord, membersMax: number, shares: ReadonlyMap<number, bigint>): boolean {
  const shared = publicOf(key);
  const parameters = { membersMax, threshold: shares.size, modulusBits: bitLength(shared.modulus) };
  const block = trialBlock(new Uint8Array(32), key.id, shared.modulus);
  const partials = new Map(
    [...shares].map(([index, share]) => [index, partial({ key: shared, parameters, share, block })]),
  );
  return combine({ key: shared, parameters, block, partials }) !== null;
}
