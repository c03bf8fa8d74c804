/**
 * A map with at most `entriesMax` entries. A full map forgets the entry that was unused for longest. So it
 * may hold only values that can be computed again.
 */
export class BoundedCache<Key, Value> {
  readonly #entries = new Map<Key, Value>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  delete(key: Key): void {
    this.#entries.delete(key);
  }

  /** The value of `key`, computed when it is not there. The entry counts as used now. */
  getOrCompute(key: Key, compute: () => Value): Value {
    const known = this.#entries.get(key);
    const value = known ?? compute();
    // A Map keeps the order of insertion, so the entry that was used last goes to the end.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#entriesMax) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    return value;
  }
}
