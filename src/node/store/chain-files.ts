import { strict as assert } from 'node:assert';
import type { Disk } from './disk.ts';

/**
 * The public records (`chain/…`): one plain file each, so that a person can look at them. Their bytes are checked by
 * whoever follows the chain, link by link, not here.
 */
export class ChainFiles {
  readonly #disk: Disk;
  readonly #home: string;
  readonly #folder: string;
  readonly #keys = new Set<string>();

  constructor(disk: Disk, home: string) {
    this.#disk = disk;
    this.#home = home;
    this.#folder = `${home}/chain`;
  }

  /** All files by key; removes what an interrupted write left. */
  async open(): Promise<Map<string, Uint8Array>> {
    await this.#disk.makeFolder(this.#folder);
    const records = new Map<string, Uint8Array>();
    for (const name of (await this.#disk.list(this.#folder)).sort()) {
      const key = `chain/${name}`;
      if (chainKeyPattern.test(key)) {
        const bytes = await this.#disk.read(this.#path(key));
        if (bytes) records.set(key, bytes);
      } else if (name.endsWith('.new')) {
        await this.#disk.unlink(this.#path(key));
      }
    }
    await this.#disk.syncFolder(this.#folder);
    for (const key of records.keys()) this.#keys.add(key);
    return records;
  }

  async put(records: ReadonlyArray<readonly [key: string, value: Uint8Array]>): Promise<void> {
    if (records.length === 0) return;
    for (const [key, value] of records) {
      const temporary = `${this.#path(key)}.new`;
      await this.#disk.write(temporary, value);
      await this.#disk.rename(temporary, this.#path(key));
      this.#keys.add(key);
    }
    await this.#disk.syncFolder(this.#folder);
  }

  async delete(keys: readonly string[]): Promise<void> {
    const present = keys.filter((key) => this.#keys.has(key));
    if (present.length === 0) return;
    for (const key of present) {
      await this.#disk.unlink(this.#path(key));
      this.#keys.delete(key);
    }
    await this.#disk.syncFolder(this.#folder);
  }

  #path(key: string): string {
    return `${this.#home}/${key}`;
  }
}

const chainKeyPattern = /^chain\/[a-z0-9][a-z0-9-]{0,63}$/;

/** Keys come from our own code: another shape is a bug. */
export function assertChainKey(key: string): void {
  assert(
    chainKeyPattern.test(key),
    'a chain key is "chain/" and one name of small letters, digits and dashes',
  );
}
