/** How stories change the store of a peer whose daemon is stopped. */
import { randomBytes } from 'node:crypto';
import { addressesRecord } from '../node/daemon/membership.ts';
import { openHome } from '../node/home/home.ts';
import { FileStore } from '../node/store/file-store.ts';
import type { StoreTransaction } from '../node/store/store.ts';
import { decodeStored, encodeStored } from '../protocol/records/stored.ts';

/** Makes the peer forget the addresses of the others. Only multicast DNS can find them then. */
export const forgetAddresses = (dir: string): Promise<void> =>
  tamper(dir, () => ({ puts: [], deletes: [addressesRecord] }));

/** Changes the peer's shares, so that everything that it computes with them is false. */
export const falsifyShares = (dir: string): Promise<void> =>
  tamper(dir, (records) => ({
    puts: [...records]
      .filter(([name]) => name.startsWith('shares/'))
      .map(([name, record]) => [
        name,
        encodeStored(falsified(decodeStored(record) as Record<string, Uint8Array>)),
      ]),
    deletes: [],
  }));

/** Takes a record that holds one epoch's share of each key. */
function falsified(shares: Record<string, Uint8Array>): Record<string, Uint8Array> {
  const entries = Object.entries(shares).map(([key, share]) => {
    const other = Uint8Array.from(share);
    other[other.length - 1] = (share.at(-1) ?? 0) ^ 2;
    return [key, other] as const;
  });
  return Object.fromEntries(entries);
}

async function tamper(
  dir: string,
  changes: (records: ReadonlyMap<string, Uint8Array>) => StoreTransaction,
): Promise<void> {
  const home = openHome(dir);
  const store = new FileStore({
    folder: home.storeDir,
    cipher: home.readSettings().cipher,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  const records = await store.open();
  try {
    await store.commit(changes(records));
  } finally {
    await store.close();
  }
}
