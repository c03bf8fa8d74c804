import type { CipherName } from '../../cipher/local-cipher.ts';
import type { Disk } from './disk.ts';
import { damaged, type Generation, hasFrameAfter, openFrame, readFrame } from './frame.ts';
import { readSlot, type SlotName, slotNames, writeSlot } from './key-slot.ts';
import { bytesOf, type Changes, decodeRecords } from './records.ts';
import type { Sealer } from './sealing.ts';
import { StoreError } from './store-error.ts';

interface VaultOptions {
  readonly disk: Disk;
  readonly folder: string;
  /**
   * The peer's local cipher, for everything that is written from now on. Frames under another cipher can
   * still be opened.
   */
  readonly cipher: CipherName;
  /** Gives `length` uniformly random bytes. Store keys are made of them. */
  readonly randomBytes: (length: number) => Uint8Array;
  readonly sealer: Sealer;
  /** A journal longer than this number of bytes is folded into a new snapshot. */
  readonly journalBytesMax: number;
  /**
   * The bound on all records with their keys, in bytes. A change that passes the bound is refused before a
   * byte of it is written.
   */
  readonly recordsBytesMax: number;
  /**
   * Gets the records before a byte is written. When it rejects, the vault does not open, and its files stay
   * as they are.
   */
  readonly check: (records: ReadonlyMap<string, Uint8Array>) => Promise<void>;
}

/** The generation that counts now, and the slot that holds its key. */
interface Current {
  readonly generation: Generation;
  readonly slot: SlotName;
}

/**
 * The sealed records of a peer, in one folder:
 *
 *     key-a or key-b   the store key and the number of its generation g
 *     snapshot-g       frame 0: all records
 *     journal-g        frames 1, 2, …: the changes since
 *
 * A rotation writes generation g + 1 under a new key, beside the old generation. The new generation counts
 * from the moment its key slot is renamed. Then the old files are overwritten with zeros and removed.
 */
export class Vault {
  readonly #options: VaultOptions;
  #current: Current;
  readonly #records: Map<string, Uint8Array>;
  #journalBytes = 0;
  #nextFrame = 1;

  private constructor(options: VaultOptions, current: Current, records: Map<string, Uint8Array>) {
    this.#options = options;
    this.#current = current;
    this.#records = records;
  }

  /**
   * Opens the vault, or makes it. It also wipes the files that an interrupted rotation left.
   * @throws StoreError (as a rejection) `damaged`, `other-version`, and the errors of the disk
   */
  static async open(options: VaultOptions): Promise<Vault> {
    await options.disk.makeFolder(options.folder);
    const current = await findCurrent(options);
    if (current === undefined) {
      await assertNothingIsLost(options);
      await options.check(new Map());
      const empty = await beginGeneration(options, undefined, new Map());
      await wipeAllBut(options, empty);
      return new Vault(options, empty, new Map());
    }
    const vault = new Vault(options, current, new Map());
    const torn = await vault.#load();
    await options.check(vault.records());
    await makeDurable(options, current);
    await wipeAllBut(options, current);
    if (torn) await vault.rotate(new Map());
    return vault;
  }

  /** Copies of all records. The vault wipes its own records when they are replaced. */
  records(): Map<string, Uint8Array> {
    return new Map([...this.#records].map(([key, value]) => [key, Uint8Array.from(value)]));
  }

  /** The size of all records with their keys, in bytes. */
  get recordBytes(): number {
    let bytes = 0;
    for (const [key, value] of this.#records) bytes += key.length + value.length + entryBytes;
    return bytes;
  }

  /**
   * Refuses changes that would pass the bound. The journal could take such changes, but no snapshot could
   * hold them, so a later start would fail. Another version may have left a vault over the bound. Such a
   * vault still takes every change that makes it smaller.
   * @throws StoreError `too-large`
   */
  assertRoomFor(changes: Changes): void {
    let grown = 0;
    for (const [key, value] of changes) {
      const old = this.#records.get(key);
      if (old !== undefined) grown -= key.length + old.length + entryBytes;
      if (value !== null) grown += key.length + value.length + entryBytes;
    }
    const { recordsBytesMax } = this.#options;
    if (grown > 0 && this.recordBytes + grown > recordsBytesMax)
      throw new StoreError('too-large', `the store holds at most ${recordsBytesMax} bytes of records`);
  }

  /**
   * Applies the changes as one, durably. The vault keeps the values themselves, so the caller must not change
   * them later.
   */
  async apply(changes: Changes): Promise<void> {
    const { disk, cipher, sealer, journalBytesMax } = this.#options;
    const { generation } = this.#current;
    if (this.#journalBytes + bytesOf(changes) > journalBytesMax) return this.rotate(changes);
    const frame = await sealer.seal({ generation, number: this.#nextFrame, cipher, changes });
    if (this.#journalBytes + frame.length > journalBytesMax) return this.rotate(changes);
    await disk.append(this.#path(journalName(this.#current.generation)), frame);
    this.#journalBytes += frame.length;
    this.#nextFrame += 1;
    applyTo(this.#records, changes);
  }

  /**
   * Applies the changes and seals all records under a new store key. Then it erases the old key and all that
   * it sealed.
   */
  async rotate(changes: Changes): Promise<void> {
    const records = new Map(this.#records);
    for (const [key, value] of changes) {
      if (value === null) records.delete(key);
      else records.set(key, value);
    }
    const old = this.#current;
    this.#current = await beginGeneration(this.#options, old, records);
    old.generation.storeKey.fill(0);
    await wipeAllBut(this.#options, this.#current);
    this.#journalBytes = 0;
    this.#nextFrame = 1;
    applyTo(this.#records, changes);
  }

  /**
   * Writes all records anew after a write that failed. After such a write the content of the disk is
   * uncertain, and the records in memory are not. It also erases the files of the failed write. The caller
   * may try again when it fails.
   */
  async rewrite(changes: Changes): Promise<void> {
    await wipeAllBut(this.#options, this.#current);
    await this.rotate(changes);
  }

  /** Overwrites the store key and all records in memory. */
  forget(): void {
    this.#current.generation.storeKey.fill(0);
    for (const value of this.#records.values()) value.fill(0);
    this.#records.clear();
  }

  /**
   * Reads snapshot and journal. True when the last frame is torn. Then a power cut interrupted a commit, and
   * that commit was never reported as done.
   */
  async #load(): Promise<boolean> {
    const { generation } = this.#current;
    const snapshotPath = this.#path(snapshotName(generation));
    const snapshot = await this.#options.disk.read(snapshotPath);
    const whole = snapshot && readFrame(snapshot, 0, 0);
    if (whole?.kind !== 'frame' || whole.next !== snapshot?.length) throw damaged(snapshotPath);
    applyTo(this.#records, decodeRecords(openFrame(generation, 0, whole.sealed, snapshotPath)));

    const journalPath = this.#path(journalName(generation));
    const journal = await this.#options.disk.read(journalPath);
    if (journal === undefined) throw damaged(journalPath);
    for (let offset = 0; ; this.#nextFrame += 1) {
      const frame = readFrame(journal, offset, this.#nextFrame);
      if (frame.kind === 'end') break;
      if (frame.kind === 'broken') {
        // Each commit is durable before the next begins, so only the last frame can be torn.
        if (hasFrameAfter(journal, offset, this.#nextFrame + 1)) throw damaged(journalPath);
        return true;
      }
      applyTo(
        this.#records,
        decodeRecords(openFrame(generation, this.#nextFrame, frame.sealed, journalPath)),
      );
      offset = frame.next;
    }
    this.#journalBytes = journal.length;
    return false;
  }

  #path(name: string): string {
    return `${this.#options.folder}/${name}`;
  }
}

/** The slot with the highest generation among the valid ones. A rotation counts once its slot is written. */
async function findCurrent({ disk, folder }: VaultOptions): Promise<Current | undefined> {
  let best: Current | undefined;
  for (const slot of slotNames) {
    const generation = readSlot(await disk.read(`${folder}/${slot}`));
    if (generation && (!best || generation.number > best.generation.number)) best = { generation, slot };
  }
  return best;
}

/**
 * A vault without a valid slot is new only when its folder holds no more than an interrupted first start
 * leaves.
 * @throws StoreError `damaged` otherwise
 */
async function assertNothingIsLost({ disk, folder }: VaultOptions): Promise<void> {
  const leftovers = [snapshotName({ number: 1 }), journalName({ number: 1 }), temporaryName('key-a')];
  for (const name of await disk.list(folder)) {
    if (!leftovers.includes(name)) throw damaged(`the store key in ${folder}`);
  }
  const journal = await disk.read(`${folder}/${journalName({ number: 1 })}`);
  if (journal && journal.length > 0) throw damaged(`the store key in ${folder}`);
}

/**
 * Writes the next generation as a whole, and makes it the one that counts. The old generation still lies
 * beside it.
 */
async function beginGeneration(
  { disk, folder, cipher, randomBytes, sealer }: VaultOptions,
  old: Current | undefined,
  records: ReadonlyMap<string, Uint8Array>,
): Promise<Current> {
  const generation = { number: (old?.generation.number ?? 0) + 1, storeKey: randomBytes(32) };
  const slot = old?.slot === 'key-a' ? 'key-b' : 'key-a';
  const temporary = `${folder}/${temporaryName(slot)}`;
  const snapshot = await sealer.seal({ generation, number: 0, cipher, changes: records });
  await disk.write(`${folder}/${snapshotName(generation)}`, snapshot);
  await disk.write(`${folder}/${journalName(generation)}`, new Uint8Array());
  await disk.write(temporary, writeSlot(generation));
  // The names of snapshot and journal must be durable before the slot counts.
  await disk.syncFolder(folder);
  await disk.rename(temporary, `${folder}/${slot}`);
  await disk.syncFolder(folder);
  return { generation, slot };
}

/**
 * A killed process may have left these files in the system's memory only, and from now on the store relies on
 * them.
 */
async function makeDurable({ disk, folder }: VaultOptions, { generation, slot }: Current): Promise<void> {
  for (const name of [snapshotName(generation), journalName(generation), slot]) {
    await disk.syncFile(`${folder}/${name}`);
  }
  await disk.syncFolder(folder);
}

/** Erases every other file. All of them are zeros on the disk before the first name is removed. */
async function wipeAllBut({ disk, folder }: VaultOptions, { generation, slot }: Current): Promise<void> {
  const keep: string[] = [snapshotName(generation), journalName(generation), slot];
  const others = (await disk.list(folder)).filter((name) => !keep.includes(name)).sort();
  for (const name of others) await disk.zero(`${folder}/${name}`);
  for (const name of others) await disk.unlink(`${folder}/${name}`);
  if (others.length > 0) await disk.syncFolder(folder);
}

/** The bytes that CBOR adds to a key and its value, at most. */
const entryBytes = 16;

function applyTo(records: Map<string, Uint8Array>, changes: Changes): void {
  for (const [key, value] of changes) {
    const old = records.get(key);
    // A commit that is tried again brings the very same bytes, and these must stay.
    if (old !== value) old?.fill(0);
    if (value === null) records.delete(key);
    else records.set(key, value);
  }
}

function snapshotName({ number }: { readonly number: number }): string {
  return `snapshot-${number}`;
}

function journalName({ number }: { readonly number: number }): string {
  return `journal-${number}`;
}

/** The generation in the name of a snapshot or journal. Null for a key slot and for every other name. */
export function generationOf(name: string): number | null {
  const [, digits] = /^(?:snapshot|journal)-(\d+)$/.exec(name) ?? [];
  return digits === undefined ? null : Number(digits);
}

function temporaryName(slot: SlotName): string {
  return `${slot}.new`;
}
