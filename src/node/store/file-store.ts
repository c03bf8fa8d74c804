import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { CipherName } from '../../cipher/local-cipher.ts';
import { assertChainKey, ChainFiles } from './chain-files.ts';
import type { Disk } from './disk.ts';
import { pidFileLock, type TakeLock } from './lock.ts';
import { realDisk } from './real-disk.ts';
import { type Sealer, ThreadSealer } from './sealing.ts';
import { isChainKey, type Store, type StoreTransaction } from './store.ts';
import { mayPass, StoreError } from './store-error.ts';
import { Vault } from './vault.ts';

/**
 * The most bytes of one record. Every message and state of the protocol is smaller, so a larger record is a
 * bug.
 */
export const recordBytesMax = 16 * 1024 * 1024;
const journalBytesMaxDefault = 4 * 1024 * 1024;
/** The most bytes of all records. Even with the encoding around them, one frame can hold them. */
const recordsBytesMaxDefault = 192 * 1024 * 1024;

interface FileStoreOptions {
  /** The store's own folder. `open` makes it when it does not exist. */
  readonly folder: string;
  /** The peer's local cipher: the inner layer of everything that is written from now on. */
  readonly cipher: CipherName;
  /** Gives `length` uniformly random bytes. */
  readonly randomBytes: (length: number) => Uint8Array;
  readonly disk?: Disk;
  readonly takeLock?: TakeLock;
  readonly journalBytesMax?: number;
  /** The bound on all sealed records together, in bytes. */
  readonly recordsBytesMax?: number;
  readonly patience?: Patience;
  readonly sealer?: Sealer;
  /**
   * Gets the records before `open` writes a byte. When it rejects, `open` rejects with the same error, and
   * changes nothing.
   */
  readonly check?: (records: ReadonlyMap<string, Uint8Array>) => Promise<void>;
}

/**
 * A store with patience waits until a trouble of the machine has passed. Its commits take as long as the
 * trouble lasts. A store without patience fails at once.
 */
export interface Patience {
  /** The abort of this signal ends the waiting: the commits that wait then fail. */
  readonly until: AbortSignal;
  readonly retryMs: number;
  /** Gets the error of every failed try, and null when a write succeeds again. */
  readonly onTrouble: (error: StoreError | null) => void;
}

interface OpenStore {
  readonly chain: ChainFiles;
  readonly vault: Vault;
  readonly release: () => Promise<void>;
}

interface Waiting {
  readonly changes: ReadonlyMap<string, Uint8Array | null>;
  readonly rotate: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The store of a real peer: files in one folder. Its errors are `StoreError`. */
export class FileStore implements Store {
  readonly #options: Required<Omit<FileStoreOptions, 'patience'>>;
  readonly #patience: Patience | undefined;
  #open: OpenStore | undefined;
  readonly #waiting: Waiting[] = [];
  #working: Promise<void> | undefined;
  #failure: StoreError | undefined;

  constructor({ patience, ...options }: FileStoreOptions) {
    this.#patience = patience;
    this.#options = {
      disk: realDisk,
      takeLock: pidFileLock(options.folder),
      journalBytesMax: journalBytesMaxDefault,
      sealer: new ThreadSealer(),
      check: async () => {},
      recordsBytesMax: recordsBytesMaxDefault,
      ...options,
    };
  }

  async open(): Promise<Map<string, Uint8Array>> {
    const { disk, folder, takeLock } = this.#options;
    await disk.makeFolder(folder);
    const release = await takeLock();
    try {
      const vaultFolder = `${folder}/vault`;
      const vault = await Vault.open({ ...this.#options, folder: vaultFolder });
      // After the vault, which says whether this version may touch anything here.
      const chain = new ChainFiles(disk, folder);
      await chain.open();
      this.#open = { chain, vault, release };
      this.#failure = undefined;
      return vault.records();
    } catch (error) {
      await release();
      throw error;
    }
  }

  async commit(transaction: StoreTransaction, { rotate = false } = {}): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (!this.#open) throw closed();
    const changes = toChanges(transaction);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, rotate, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  /** How full the sealed part is, in bytes. */
  fill(): { bytes: number; bytesMax: number } {
    return {
      bytes: this.#open?.vault.recordBytes ?? 0,
      bytesMax: this.#options.recordsBytesMax,
    };
  }

  archived(key: string): Promise<Uint8Array | null> {
    return this.#chain().get(key);
  }

  archivedKeys(): Promise<string[]> {
    return this.#chain().keys();
  }

  /** Reading the archive touches only the archive's own files, so it works also while commits fail. */
  #chain(): ChainFiles {
    if (!this.#open) throw closed();
    return this.#open.chain;
  }

  async close(): Promise<void> {
    const opened = this.#open;
    if (!opened) return;
    this.#open = undefined;
    await this.#working;
    opened.vault.forget();
    await this.#options.sealer.close();
    await opened.release();
  }

  /** Takes all waiting commits as one batch. So commits that overlap share one write to the disk. */
  async #work(): Promise<void> {
    // `close` waits for this loop, so the store stays open until the loop ends.
    const opened = this.#open;
    assert(opened !== undefined, 'a batch waits in an open store only');
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        await this.#apply(opened, batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        this.#failure = stoppedBy(error);
        for (const { reject } of batch) reject(error);
        for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
      }
    }
    this.#working = undefined;
  }

  async #apply(opened: OpenStore, batch: readonly Waiting[]): Promise<void> {
    const patience = this.#patience;
    let anew = false;
    for (;;) {
      try {
        await applyBatch(opened, batch, { anew });
        if (anew) patience?.onTrouble(null);
        return;
      } catch (error) {
        if (patience === undefined || !mayPass(error)) throw error;
        patience.onTrouble(error);
        anew = true;
        await pause(patience.retryMs, undefined, { signal: patience.until }).catch(() => {
          throw error;
        });
      }
    }
  }
}

/**
 * Writes public files before the sealed part. A power cut between the two leaves one public value too many,
 * and any peer could have sent that value. For the same reason public files are removed after the sealed part
 * is written.
 */
async function applyBatch(
  { chain, vault }: OpenStore,
  batch: readonly Waiting[],
  /** True after a write that failed. */
  { anew }: { anew: boolean },
): Promise<void> {
  const changes = new Map(batch.flatMap((each) => [...each.changes]));
  const chainPuts: Array<readonly [string, Uint8Array]> = [];
  const chainDeletes: string[] = [];
  const sealed = new Map<string, Uint8Array | null>();
  for (const [key, value] of changes) {
    if (!isChainKey(key)) sealed.set(key, value);
    else if (value === null) chainDeletes.push(key);
    else chainPuts.push([key, value]);
  }
  vault.assertRoomFor(sealed);
  await chain.put(chainPuts);
  if (anew) await vault.rewrite(sealed);
  else if (batch.some(({ rotate }) => rotate)) await vault.rotate(sealed);
  else if (sealed.size > 0) await vault.apply(sealed);
  await chain.delete(chainDeletes);
}

/** The transaction with its own copies of the values. @throws StoreError `too-large` */
function toChanges({ puts, deletes }: StoreTransaction): Map<string, Uint8Array | null> {
  const changes = new Map<string, Uint8Array | null>();
  for (const key of deletes) changes.set(key, null);
  for (const [key, value] of puts) {
    if (value.length > recordBytesMax) {
      throw new StoreError(
        'too-large',
        `a record has ${value.length} bytes: at most ${recordBytesMax} are allowed`,
      );
    }
    changes.set(key, Uint8Array.from(value));
  }
  for (const key of changes.keys()) if (isChainKey(key)) assertChainKey(key);
  return changes;
}

const closed = (): StoreError => new StoreError('closed', 'the store is not open: open it first');

function stoppedBy(error: unknown): StoreError {
  const reason = error instanceof StoreError ? error.message : 'an unexpected error';
  return new StoreError('failed', `the store stopped (${reason}): restart the daemon`, { cause: error });
}
