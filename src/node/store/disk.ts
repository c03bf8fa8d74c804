/**
 * The few file operations that the store needs, so that tests can crash them one by one. Paths are whole. Errors
 * are `StoreError`.
 *
 * Durable means: still there after a power cut. A file's bytes and its name are two things: a name made, changed or
 * removed is durable only after `syncFolder`.
 */
export interface Disk {
  /** Makes the folder, and those above it, durably, for this user only (0700). It may exist. */
  makeFolder(folder: string): Promise<void>;
  /** The names of the files in a folder. */
  list(folder: string): Promise<string[]>;
  /** `undefined` when there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Makes or replaces a file (0600) that holds `bytes`; these are durable, the name is not yet. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Adds bytes at the end of an existing file, durably. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Overwrites the file in place with zeros, durably. */
  zero(path: string): Promise<void>;
  /** Gives the file another name, in place of any file of that name, in one step. */
  rename(from: string, to: string): Promise<void>;
  /** Removes the name. */
  unlink(path: string): Promise<void>;
  /** Makes the bytes durable that an earlier process may have left in the system's memory. */
  syncFile(path: string): Promise<void>;
  /** Makes the names in the folder durable. */
  syncFolder(folder: string): Promise<void>;
}
