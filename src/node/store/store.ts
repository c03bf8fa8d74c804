/**
 * The store holds all that a peer must not lose: its shares, keys, votes, dealings and values. They are
 * records of bytes under text keys.
 *
 * Records whose key begins with `chain/` are the archive: the values and certificates of all epochs. They are
 * public and written once. All other records are sealed. README.md says how.
 */
export interface Store {
  /**
   * Opens the store and gives all sealed records.
   * @throws StoreError (as a rejection) `locked` when another process has the store open, `damaged`,
   * `other-version`, and the errors of the disk
   */
  open(): Promise<Map<string, Uint8Array>>;
  /**
   * Applies the transaction as a whole or not at all. It is durable when the promise resolves. Calls may
   * overlap, and they take effect in order. After the first error the store takes no more commits, because
   * only a new start shows the content of the disk.
   *
   * `rotate` seals all records anew under a new store key, and erases every older sealed byte.
   * @throws StoreError (as a rejection) `closed`, `too-large`, `failed`, and the errors of the disk
   */
  commit(transaction: StoreTransaction, options?: { rotate?: boolean }): Promise<void>;
  /**
   * A record of the archive. Null when there is none, or when its file was changed. Only history may depend
   * on the archive.
   */
  archived(key: string): Promise<Uint8Array | null>;
  /** The keys of all records of the archive, in order. */
  archivedKeys(): Promise<string[]>;
  /** Waits for commits under way, then lets another process open the store. */
  close(): Promise<void>;
}

/** Deletes take effect before puts. */
export interface StoreTransaction {
  readonly puts: ReadonlyArray<readonly [key: string, value: Uint8Array]>;
  readonly deletes: readonly string[];
}

/**
 * Whether a record belongs to the archive. Such a record is public and immutable, in a plain file outside the
 * vault.
 */
export function isChainKey(key: string): boolean {
  return key.startsWith('chain/');
}
