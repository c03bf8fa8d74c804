import { isChainKey, type Store, type StoreTransaction } from '../../node/store/store.ts';
import { StoreError } from '../../node/store/store-error.ts';

/** The content of a memory store. It survives when the store is closed, or dropped with `crash`. */
export class MemoryHome {
  readonly records = new Map<string, Uint8Array>();
  holder: MemoryStore | undefined;

  /** The process ends without closing its store. Another store may open the home. */
  crash(): void {
    this.holder = undefined;
  }
}

/** A store without files, for tests of the code above the store. */
export class MemoryStore implements Store {
  readonly #home: MemoryHome;

  constructor(home: MemoryHome) {
    this.#home = home;
  }

  async open(): Promise<Map<string, Uint8Array>> {
    if (this.#home.holder) throw new StoreError('locked', 'another store has this home open');
    this.#home.holder = this;
    return new Map(
      [...this.#home.records]
        .filter(([key]) => !isChainKey(key))
        .map(([key, value]) => [key, Uint8Array.from(value)]),
    );
  }

  async archived(key: string): Promise<Uint8Array | null> {
    return this.#home.records.get(key) ?? null;
  }

  async archivedKeys(): Promise<string[]> {
    return [...this.#home.records.keys()].filter(isChainKey).sort();
  }

  async commit({ puts, deletes }: StoreTransaction): Promise<void> {
    if (this.#home.holder !== this) throw new StoreError('closed', 'the store is not open: open it first');
    for (const key of deletes) this.#home.records.delete(key);
    for (const [key, value] of puts) this.#home.records.set(key, Uint8Array.from(value));
  }

  async close(): Promise<void> {
    if (this.#home.holder === this) this.#home.holder = undefined;
  }
}
