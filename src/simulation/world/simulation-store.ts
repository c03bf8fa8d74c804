/**
 * A store for simulated peers: the real file store on a disk that crashes, or records in memory. Both take
 * virtual time for a write, lose an interrupted write, and tell the oracle what is durable.
 */
import type { CipherName } from '../../cipher/local-cipher.ts';
import { FileStore } from '../../node/store/file-store.ts';
import { sealerInPlace } from '../../node/store/sealing.ts';
import { isChainKey, type Store, type StoreTransaction } from '../../node/store/store.ts';
import { type CrashPoint, SimulatedCrash, SimulatedDisk } from './simulated-disk.ts';

/** Records by name. */
export type Records = Map<string, Uint8Array>;

interface SimulationHomeOptions {
  random: () => number;
  delay: (ms: number) => Promise<void>;
  writeMsMax: number;
  /** The cipher and random bytes of a real file store. Null: the records are in memory. */
  files: { cipher: CipherName; randomBytes: (length: number) => Uint8Array } | null;
  /** Called for every transaction after it became durable. */
  onDurable: (transaction: StoreTransaction) => void;
}

/** The part of a peer's store that survives a crash. One store at a time has it open. */
export class SimulationHome {
  /** The durable records, as far as the last process knew. They are exact again after every start. */
  records: Records;
  readonly options: SimulationHomeOptions;
  disk: SimulatedDisk;
  holder: SimulationStore | null = null;
  #image: Records | null = null;
  #fileImage: Records;

  constructor(records: ReadonlyMap<string, Uint8Array>, options: SimulationHomeOptions) {
    this.records = new Map(records);
    this.#fileImage = new Map(records);
    this.options = options;
    this.disk = new SimulatedDisk(options.random);
  }

  /** The store of the next process. */
  store(): SimulationStore {
    this.holder?.abandon();
    this.holder = new SimulationStore(this);
    return this.holder;
  }

  /** The power fails. A write under way may be durable or not. */
  crash(): void {
    this.holder?.abandon();
    this.holder = null;
    this.disk = this.disk.afterCrash(this.options.random() < 0.5 ? 'kill' : 'power');
  }

  /** Remembers all records as they are now. A backup does the same. */
  takeImage(): void {
    this.#image = new Map(this.records);
  }

  /** Puts the remembered image back. False when there is none. */
  restoreImage(): boolean {
    if (this.#image === null) return false;
    this.records = new Map(this.#image);
    this.#fileImage = new Map(this.#image);
    this.disk = new SimulatedDisk(this.options.random);
    return true;
  }

  /** The records of the next store on an empty disk. A second call gives none. */
  takeFileImage(): Records {
    const image = this.#fileImage;
    this.#fileImage = new Map();
    return image;
  }
}

/** The store of one process of a peer. */
export class SimulationStore implements Store {
  readonly #home: SimulationHome;
  readonly #files: FileStore | null;
  #abandoned = false;
  #crashNext: CrashPoint['when'] | null = null;

  constructor(home: SimulationHome) {
    this.#home = home;
    const { files } = home.options;
    this.#files =
      files === null
        ? null
        : new FileStore({
            folder: '/store',
            ...files,
            disk: home.disk,
            sealer: sealerInPlace,
            takeLock: async () => async () => {},
          });
  }

  /** The process is gone. No operation of this store completes any more. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** Crashes at the next write, or takes that back for null. */
  crashAtNextWrite(when: CrashPoint['when'] | null): void {
    if (this.#files === null) this.#crashNext = when;
    else if (when === null) this.#home.disk.crashSoon(Number.POSITIVE_INFINITY, 'before');
    else this.#home.disk.crashSoon(Math.floor(this.#home.options.random() * 6), when);
  }

  async open(): Promise<Records> {
    if (this.#files !== null) {
      let records = await this.#files.open();
      const image = this.#home.takeFileImage();
      if (image.size > 0) {
        await this.#files.commit({ puts: [...image], deletes: [] }, { rotate: true });
        records = image;
      }
      this.#home.records = new Map([...records].filter(([key]) => !isChainKey(key)));
      for (const key of await this.#files.archivedKeys())
        this.#home.records.set(key, (await this.#files.archived(key)) as Uint8Array);
    }
    return new Map([...this.#home.records].filter(([key]) => !isChainKey(key)));
  }

  async archived(key: string): Promise<Uint8Array | null> {
    this.#stopIfAbandoned();
    if (this.#files !== null) return this.#files.archived(key);
    return this.#home.records.get(key) ?? null;
  }

  async archivedKeys(): Promise<string[]> {
    return [...this.#home.records.keys()].filter(isChainKey).sort();
  }

  async commit(transaction: StoreTransaction, options: { rotate?: boolean } = {}): Promise<void> {
    const { random, delay, writeMsMax, onDurable } = this.#home.options;
    await delay(random() * writeMsMax);
    this.#stopIfAbandoned();
    const crash = this.#crashNext;
    this.#crashNext = null;
    if (crash === 'before') throw new SimulatedCrash('before a write');
    if (crash === 'inside') {
      // Public files are written first. So a crash between leaves one too many.
      this.#apply({ puts: transaction.puts.filter(([key]) => isChainKey(key)), deletes: [] });
      throw new SimulatedCrash('inside a write');
    }
    if (this.#files !== null) await this.#files.commit(transaction, options);
    this.#stopIfAbandoned();
    this.#apply(transaction);
    onDurable(transaction);
    if (crash === 'after') throw new SimulatedCrash('after a write');
    await delay(random() * writeMsMax);
    this.#stopIfAbandoned();
  }

  async close(): Promise<void> {
    await this.#files?.close();
  }

  #apply({ puts, deletes }: StoreTransaction): void {
    for (const key of deletes) this.#home.records.delete(key);
    for (const [key, value] of puts) this.#home.records.set(key, Uint8Array.from(value));
  }

  #stopIfAbandoned(): void {
    if (this.#abandoned) throw new SimulatedCrash('the process is gone');
  }
}
