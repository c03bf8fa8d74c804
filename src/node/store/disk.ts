/**
 * The few file operations that the store needs. Tests replace them and crash at each one. Paths are absolute.
 * Every error is a `StoreError`, as a rejection.
 *
 * Durable means: still there after a power cut. A file's bytes and its name become durable separately. A name
 * that was made, changed or removed is durable only after `syncFolder`.
 */
export interface Disk {
  /**
   * Makes the folder and the folders above it, durably, for this user only (mode 0700). The folder may exist
   * already.
   */
  makeFolder(folder: string): Promise<void>;
  /** The names of the files in a folder. */
  list(folder: string): Promise<string[]>;
  /** The content of a file. `undefined` when there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Makes or replaces a file (mode 0600) with the content `bytes`. The bytes are durable, the name is not
   * yet.
   */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Adds bytes at the end of an existing file. They are durable. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Overwrites the file in place with zeros. They are durable. */
  zero(path: string): Promise<void>;
  /** Renames a file in one step. A file that has the new name already is replaced. */
  rename(from: string, to: string): Promise<void>;
  /** Removes the file's name. */
  unlink(path: string): Promise<void>;
  /** Makes a file's bytes durable. An earlier process may have left them in the system's memory only. */
  syncFile(path: string): Promise<void>;
  /** Makes the names in the folder durable. */
  syncFolder(folder: string): Promise<void>;
}
