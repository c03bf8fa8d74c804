/**
 * What a peer must not lose: its shares, keys, votes, dealings and values, as records of bytes under text keys.
 *
 * Records whose key begins with `chain/` are the archive: public, and written once (the values and certificates of
 * all epochs); everything else is sealed. See README.md.
 */
export interface Store {
  /** All sealed records. Refuses a second opener (`locked`). Every error of a store is a `StoreError`. */
  open(): Promise<Map<string, Uint8Array>>;
  /**
   * Applies the transaction as a whole or not at all; it is durable when this resolves. Calls may overlap: they
   * take effect in order. After the first error the store takes no more: what is on the disk is then known only
   * after a new start.
   *
   * `rotate`: seal everything anew under a new store key, and erase every older sealed byte.
   */
  commit(transaction: StoreTransaction, options?: { rotate?: boolean }): Promise<void>;
  /**
   * A record of the archive; null when there is none, or when its file is not as it was written. Nothing but history
   * may depend on it.
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

/** Whether a record is public and immutable: a plain file of its own outside the vault. */
export function isChainKey(key: string): boolean {
  return key.startsWith('chain/');
}
