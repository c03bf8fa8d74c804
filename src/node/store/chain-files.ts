import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Disk } from './disk.ts';

const checksumBytes = 32;

/**
 * The archive (`chain/…`): public records, one plain file each behind its SHA-256, so that a damaged one is told from a
 * true one. What they say is checked by whoever follows the chain, link by link, not here. They are read when somebody
 * asks, one by one, and never at a start.
 */
export class ChainFiles {
  readonly #disk: Disk;
  readonly #home: string;
  readonly #folder: string;

  constructor(disk: Disk, home: string) {
    this.#disk = disk;
    this.#home = home;
    this.#folder = `${home}/chain`;
  }

  /** Makes the folder, and removes what an interrupted write left. */
  async open(): Promise<void> {
    await this.#disk.makeFolder(this.#folder);
    for (const name of await this.#disk.list(this.#folder))
      if (name.endsWith('.new')) await this.#disk.unlink(`${this.#folder}/${name}`);
    await this.#disk.syncFolder(this.#folder);
  }

  async keys(): Promise<string[]> {
    const names = await this.#disk.list(this.#folder);
    return names
      .map((name) => `chain/${name}`)
      .filter((key) => chainKeyPattern.test(key))
      .sort();
  }

  /** Null when there is no such file, or it is damaged. */
  async get(key: string): Promise<Uint8Array | null> {
    const bytes = await this.#disk.read(this.#path(key));
    if (bytes === undefined || bytes.length < checksumBytes) return null;
    const value = bytes.subarray(checksumBytes);
    return checksumOf(value).equals(bytes.subarray(0, checksumBytes)) ? value : null;
  }

  async put(records: ReadonlyArray<readonly [key: string, value: Uint8Array]>): Promise<void> {
    if (records.length === 0) return;
    for (const [key, value] of records) {
      const temporary = `${this.#path(key)}.new`;
      await this.#disk.write(temporary, Buffer.concat([checksumOf(value), value]));
      await this.#disk.rename(temporary, this.#path(key));
    }
    await this.#disk.syncFolder(this.#folder);
  }

  /** Those that are there. */
  async delete(keys: readonly string[]): Promise<void> {
    let removed = false;
    for (const key of keys) {
      if ((await this.#disk.read(this.#path(key))) === undefined) continue;
      await this.#disk.unlink(this.#path(key));
      removed = true;
    }
    if (removed) await this.#disk.syncFolder(this.#folder);
  }

  #path(key: string): string {
    return `${this.#home}/${key}`;
  }
}

const checksumOf = (value: Uint8Array): Buffer => createHash('sha256').update(value).digest();

const chainKeyPattern = /^chain\/[a-z0-9][a-z0-9-]{0,63}$/;

/** Keys come from our own code: another shape is a bug. */
export function assertChainKey(key: string): void {
  assert(
    chainKeyPattern.test(key),
    'a chain key is "chain/" and one name of small letters, digits and dashes',
  );
}
