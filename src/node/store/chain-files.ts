import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Disk } from './disk.ts';

const checksumBytes = 32;

/**
 * The archive (`chain/…`) holds public records, each in a plain file after its SHA-256. The hash shows
 * damage. It does not show that a record is true: the code that follows the chain checks that, link by link.
 * A file is read only when somebody asks for it, never at a start.
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

  /** Makes the folder, and removes the files that an interrupted write left. */
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

  /** The record. Null when there is no such file, or when the file is damaged. */
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

  /** Removes those of the records that exist. */
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

/**
 * Checks the shape of a key.
 * @throws AssertionError for another shape: keys come from our own code, so that is a bug
 */
export function assertChainKey(key: string): void {
  assert(
    chainKeyPattern.test(key),
    'a chain key is "chain/" and one name of small letters, digits and dashes',
  );
}
