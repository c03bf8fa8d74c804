import type { Disk } from '../../node/store/disk.ts';

/** The operation that the crash hits throws this, and so do all later ones. */
export class SimulatedCrash extends Error {}

/**
 * `kill`: the process dies and the system's memory survives. `power`: any part of the unsynced data may be
 * lost.
 */
export type CrashKind = 'kill' | 'power';

/** Where a crash happens. */
export interface CrashPoint {
  /** Which operation, counted from 0. */
  readonly operation: number;
  readonly when: 'before' | 'inside' | 'after';
}

interface Inode {
  durable: Uint8Array;
  current: Uint8Array;
}

type Names = Map<string, Inode>;
type NameChange = (names: Names) => void;

/**
 * A disk in memory, as unkind as a real one may be. Unsynced bytes are kept, cut short, or filled with zeros.
 * Of the unsynced names any subset survives. Folders themselves are always durable.
 */
export class SimulatedDisk implements Disk {
  operations = 0;
  #crashed = false;
  readonly #random: () => number;
  #crashPoint: CrashPoint | undefined;
  readonly #folders = new Set<string>();
  #durableNames: Names = new Map();
  #names: Names = new Map();
  #unsyncedNames: Array<{ folder: string; change: NameChange }> = [];

  constructor(random: () => number, crashPoint?: CrashPoint) {
    this.#random = random;
    this.#crashPoint = crashPoint;
  }

  /** Crashes at a later operation. 0 is the very next one. */
  crashSoon(operations: number, when: CrashPoint['when']): void {
    this.#crashPoint = { operation: this.operations + operations, when };
  }

  /** The disk that the next process finds. */
  afterCrash(kind: CrashKind, crashPoint?: CrashPoint): SimulatedDisk {
    const next = new SimulatedDisk(this.#random, crashPoint);
    for (const folder of this.#folders) next.#folders.add(folder);
    if (kind === 'kill') {
      next.#names = this.#names;
      next.#durableNames = this.#durableNames;
      next.#unsyncedNames = this.#unsyncedNames;
      return next;
    }
    for (const { change } of this.#unsyncedNames) {
      if (this.#random() < 0.5) change(this.#durableNames);
    }
    for (const [path, inode] of this.#durableNames) {
      const bytes = this.#survivingBytes(inode);
      next.#names.set(path, { durable: bytes, current: bytes });
    }
    next.#durableNames = new Map(next.#names);
    return next;
  }

  /** All files with the bytes that a running process would read. */
  files(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#names].map(([path, { current }]) => [path, current]));
  }

  async makeFolder(folder: string): Promise<void> {
    await this.#step(() => this.#folders.add(folder));
  }

  async list(folder: string): Promise<string[]> {
    return this.#step(() =>
      [...this.#names.keys()]
        .filter((path) => folderOf(path) === folder)
        .map((path) => path.slice(folder.length + 1)),
    );
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.#step(() => this.#names.get(path)?.current);
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#change(path, () => {
      if (!this.#folders.has(folderOf(path))) throw new Error(`no folder for ${path}`);
      let inode = this.#names.get(path);
      if (!inode) {
        const made: Inode = { durable: new Uint8Array(), current: new Uint8Array() };
        inode = made;
        this.#rename(path, (names) => names.set(path, made));
      }
      inode.current = new Uint8Array();
      return bytes;
    });
  }

  async append(path: string, bytes: Uint8Array): Promise<void> {
    await this.#change(path, (inode) => Buffer.concat([inode.current, bytes]));
  }

  async zero(path: string): Promise<void> {
    await this.#change(path, (inode) => new Uint8Array(inode.current.length));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step(() => {
      const inode = this.#inode(from);
      this.#rename(to, (names) => {
        names.delete(from);
        names.set(to, inode);
      });
    });
  }

  async unlink(path: string): Promise<void> {
    await this.#step(() => {
      this.#inode(path);
      this.#rename(path, (names) => names.delete(path));
    });
  }

  async syncFile(path: string): Promise<void> {
    await this.#step(() => {
      const inode = this.#inode(path);
      inode.durable = inode.current;
    });
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#step(() => {
      for (const each of this.#unsyncedNames) if (each.folder === folder) each.change(this.#durableNames);
      this.#unsyncedNames = this.#unsyncedNames.filter((each) => each.folder !== folder);
    });
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (!inode) throw new Error(`no file ${path}`);
    return inode;
  }

  #rename(path: string, change: NameChange): void {
    change(this.#names);
    this.#unsyncedNames.push({ folder: folderOf(path), change });
  }

  /** Runs an operation that happens whole or not at all. A crash inside it is a crash before it. */
  async #step<T>(action: () => T): Promise<T> {
    const when = this.#begin();
    if (when === 'before' || when === 'inside') this.#crash();
    const result = action();
    if (when === 'after') this.#crash();
    return result;
  }

  /** Gives a file new bytes and syncs it. A crash inside leaves some of the bytes, and nothing synced. */
  async #change(path: string, next: (inode: Inode) => Uint8Array): Promise<void> {
    const when = this.#begin();
    if (when === 'before') this.#crash();
    const before = this.#names.get(path);
    const bytes = next(before ?? { durable: new Uint8Array(), current: new Uint8Array() });
    const inode = this.#inode(path);
    if (when === 'inside') {
      inode.current = this.#mixture(inode.current, bytes);
      this.#crash();
    }
    inode.current = bytes;
    inode.durable = bytes;
    if (when === 'after') this.#crash();
  }

  /** New bytes up to a random point, and then old bytes or zeros. The mixture may be cut short. */
  #mixture(old: Uint8Array, bytes: Uint8Array): Uint8Array {
    const cut = Math.floor(this.#random() * (bytes.length + 1));
    const mixed = new Uint8Array(this.#random() < 0.5 ? bytes.length : Math.max(cut, old.length));
    mixed.set(old.subarray(0, mixed.length));
    mixed.set(bytes.subarray(0, cut));
    return mixed;
  }

  #survivingBytes({ durable, current }: Inode): Uint8Array {
    if (durable === current) return durable;
    const which = this.#random();
    if (which < 0.25) return durable;
    return which < 0.5 ? current : this.#mixture(durable, current);
  }

  #begin(): CrashPoint['when'] | undefined {
    if (this.#crashed) throw new SimulatedCrash('after the crash');
    const operation = this.operations++;
    return operation === this.#crashPoint?.operation ? this.#crashPoint.when : undefined;
  }

  #crash(): never {
    this.#crashed = true;
    throw new SimulatedCrash('here');
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
