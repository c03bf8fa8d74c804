/**
 * The writer of one peer's audit log. The files only grow. Each line is one JSON document and holds the hash
 * of the line before. README.md says more.
 */
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { realDisk } from '../store/real-disk.ts';
import { fromSystemError, StoreError } from '../store/store-error.ts';
import { type Begin, type End, endOf, findEnd } from './end.ts';
import {
  type AuditEntry,
  type AuditExtent,
  type AuditHead,
  type AuditMemory,
  nextLine,
  parseLine,
} from './entry.ts';
import { type AuditFile, auditFileName, auditFiles, firstLineOf, linesAre } from './files.ts';

/** The options of an audit log. */
export interface AuditLogOptions {
  /** The log's folder. `open` makes it when it does not exist. */
  folder: string;
  /** A new file begins before a file would pass this number of bytes. */
  fileBytesMax: number;
  /** The number of files that are kept, at least 2. Older files are removed. */
  filesKept: number;
  /** Unix time in milliseconds. */
  wallMs: () => number;
  /** The sealed store's record of the log. Null before the first start. */
  remembered: AuditMemory | AuditHead | null;
  /**
   * Writes the record to the sealed store, in the order of the calls. It may fail, and then the log tries
   * again.
   */
  remember: (memory: AuditMemory) => Promise<void>;
  /** Gets the error when lines cannot be written, and null when they can be written again. */
  onTrouble: (error: StoreError | null) => void;
  /** The pause between a failed write and the next try, in milliseconds. The default is 1000. */
  retryMs?: number;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** The most lines without a waiting caller that are kept while the disk takes none. */
const owedMax = 256;
/** The sealed store gets the end of the log at the latest so long after a line was written. */
const rememberMs = 10_000;
/**
 * The store must take the log's beginning within this time. Otherwise that is a trouble, and the log tries
 * again.
 */
const beginMs = 2_000;
const tornShownMax = 512;

/** The open log of one peer. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  #handle: FileHandle;
  #path: string;
  /** The length of the whole lines in the file, in bytes. Bytes after them come from a write that failed. */
  #bytes: number;
  #head: AuditHead;
  #begin: Begin;
  /**
   * The log's first line of this run is not written yet: the store may still say that no line follows its
   * end.
   */
  #begun: 'no' | Promise<void> | 'yes' = 'no';
  #pruning: Promise<void> = Promise.resolve();
  #damage: string | null = null;
  readonly #waiting: Waiting[] = [];
  #owed: AuditEntry[] = [];
  #missed = 0;
  /** A write failed, and a part of a line may stand after the whole lines. */
  #dirty = false;
  #working: Promise<void> | null = null;
  #trouble: StoreError | null = null;
  #closed = false;
  #retry: NodeJS.Timeout | null = null;
  #rememberSoon: NodeJS.Timeout | null = null;

  private constructor(options: AuditLogOptions, at: End) {
    this.#options = options;
    this.#handle = at.handle;
    this.#path = at.path;
    this.#bytes = at.bytes;
    this.#head = at.head;
    this.#begin = at.begin;
  }

  /**
   * Opens the log at its end. Half a line at the end is cut off and noted.
   *
   * A difference from the store's record is noted as damage. When lines are missing, the chain goes on from
   * the store's record, so the gap stays visible. Lines that somebody added to a closed log are moved aside.
   * @throws StoreError (as a rejection)
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    try {
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      const found = await findEnd(options);
      const log = new AuditLog(options, found);
      if (found.torn !== null)
        log.note({
          event: 'torn',
          bytes: Buffer.byteLength(found.torn),
          text: found.torn.slice(0, tornShownMax),
        });
      if (found.damage !== null) log.#damaged(found.damage);
      return log;
    } catch (error) {
      throw fromSystemError(error, 'write', options.folder);
    }
  }

  get head(): AuditHead {
    return this.#head;
  }

  /** The extent that a check of the files is given. */
  get extent(): AuditExtent {
    return { ...this.#head, ...this.#begin };
  }

  /** The error why no line can be written at present. Null when lines can be written. */
  get trouble(): StoreError | null {
    return this.#trouble;
  }

  /**
   * The changes and removals that were found since this log was opened, in words. Null when there are none.
   */
  get damage(): string | null {
    return this.#damage;
  }

  /**
   * Writes a line. Resolves when it is durable.
   * @throws StoreError (as a rejection) when the line is not durable; then no part of it is kept
   */
  append(entry: AuditEntry): Promise<void> {
    if (this.#closed) return Promise.reject(new StoreError('closed', 'the audit log is closed'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#work();
    });
  }

  /**
   * Writes a line as soon as the disk takes it. The number of waiting lines is bounded, and further ones are
   * only counted.
   */
  note(entry: AuditEntry): void {
    if (this.#closed) return;
    if (this.#owed.length < owedMax) this.#owed.push(entry);
    else this.#missed += 1;
    this.#work();
  }

  /** Writes all waiting lines, and has the store remember the end. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#rememberSoon !== null) clearTimeout(this.#rememberSoon);
    await this.#working;
    // After a failed write, whole lines may stand behind the known end. The next start accepts them.
    await this.#remember({ closed: !this.#dirty }).catch(() => {}); // The store may be the part that failed.
    await this.#pruning;
    await this.#handle.close();
  }

  #remember({ closed }: { closed: boolean }): Promise<void> {
    return this.#options.remember({ ...this.extent, closed });
  }

  /**
   * Tells the store, before the first line, where the log begins and that lines follow. Without that, the
   * first line after a crash would look like a line that somebody added.
   */
  async #beginOnce(): Promise<void> {
    if (this.#begun === 'yes') return;
    if (this.#begun === 'no') this.#begun = this.#remember({ closed: false });
    try {
      await within(beginMs, this.#begun);
      this.#begun = 'yes';
    } catch (error) {
      if (!(error instanceof TooLong)) this.#begun = 'no';
      throw new StoreError('failed', 'the store does not take where the audit log stands', { cause: error });
    }
  }

  #work(): void {
    this.#working ??= this.#writeAll();
  }

  /** Takes all waiting lines as one batch, so that many lines share one sync. */
  async #writeAll(): Promise<void> {
    // Lines of the same turn of the event loop share the first sync already.
    await Promise.resolve();
    while (this.#waiting.length + this.#owed.length + this.#missed > 0) {
      const waiting = this.#waiting.splice(0);
      const owed = this.#owed.splice(0);
      const missed = this.#missed;
      const lost: AuditEntry[] =
        missed === 0
          ? []
          : [{ event: 'missed', count: missed, why: this.#trouble?.message ?? 'too many at once' }];
      try {
        await this.#beginOnce();
        const changed = await this.#changedOutside();
        if (changed !== null) {
          this.#damage = changed;
          // The line `damaged` comes first. It is owed, because the change is not visible any more when this
          // write fails.
          owed.unshift({ event: 'damaged', what: changed });
        }
        await this.#write([...owed, ...lost, ...waiting.map(({ entry }) => entry)]);
      } catch (error) {
        this.#owed = [...owed, ...this.#owed];
        this.#dirty = true;
        this.#failed(fromSystemError(error, 'write', this.#path), waiting);
        break;
      }
      this.#missed -= missed;
      this.#recovered();
      for (const { resolve } of waiting) resolve();
    }
    // This is set in the same turn: a caller that continues with its next line must find no worker.
    this.#working = null;
  }

  async #write(entries: readonly AuditEntry[]): Promise<void> {
    const { wallMs, fileBytesMax } = this.#options;
    let head = this.#head;
    const chained = (added: readonly AuditEntry[]): string =>
      added
        .map((entry) => {
          const next = nextLine(head, entry, wallMs());
          head = next.head;
          return `${next.text}\n`;
        })
        .join('');
    let text = chained(entries);
    let pruning: Pruning | null = null;
    if (this.#bytes > 0 && this.#bytes + Buffer.byteLength(text) > fileBytesMax) {
      await this.#nextFile();
      pruning = await this.#oldest();
      head = this.#head;
      text = chained([...pruning.entries, ...entries]);
    }
    const bytes = Buffer.from(text);
    await this.#handle.appendFile(bytes);
    await this.#handle.datasync();
    this.#bytes += bytes.length;
    this.#head = head;
    this.#scheduleRemember();
    if (pruning !== null && pruning.files.length > 0) this.#prune(pruning);
  }

  /**
   * Removes old files. The lines that record this are written, and the store must know it before the files
   * go. So a crash between these steps leaves files too many, never too few. A file that stays is removed
   * together with the next one. No caller waits for this.
   */
  #prune({ files, begin, damage }: Pruning): void {
    this.#begin = begin;
    if (damage !== null) this.#damage = damage;
    const remembered = this.#remember({ closed: false });
    const remove = async (): Promise<void> => {
      await remembered;
      for (const { path } of files) await unlink(path).catch(() => {});
    };
    this.#pruning = Promise.all([this.#pruning, remove().catch(() => {})]).then(() => {});
  }

  /** Cuts off the rest of a failed write. Gives another program's change to the file, in words, or null. */
  async #changedOutside(): Promise<string | null> {
    const { size, nlink } = await this.#handle.stat();
    const path = this.#path;
    if (nlink === 0 || size < this.#bytes) {
      // Half a line may stand at the end of this file, so the next lines go to a new file.
      const bytes = this.#bytes;
      await this.#nextFile();
      return nlink === 0 ? `${path} was removed` : `${path} was cut from ${bytes} bytes to ${size}`;
    }
    if (size > this.#bytes) await this.#handle.truncate(this.#bytes);
    const added = size > this.#bytes && !this.#dirty;
    this.#dirty = false;
    return added ? `${path} was added to by somebody else: what was added is removed` : null;
  }

  async #nextFile(): Promise<void> {
    const path = `${this.#options.folder}/${auditFileName(this.#head.line + 1)}`;
    const next = await open(path, 'a', 0o600);
    try {
      await next.truncate(0);
      await realDisk.syncFolder(this.#options.folder);
    } catch (error) {
      await next.close();
      throw error;
    }
    await this.#handle.close();
    this.#handle = next;
    this.#path = path;
    this.#bytes = 0;
  }

  /** The files over the number that is kept, and for each a line that records its end before it goes. */
  async #oldest(): Promise<Pruning> {
    const files = auditFiles(this.#options.folder);
    const over = files.slice(0, Math.max(0, files.length - this.#options.filesKept));
    const entries: AuditEntry[] = [];
    let begin = this.#begin;
    let damage: string | null = null;
    for (const [at, file] of over.entries()) {
      const { name, first } = file;
      if (first < begin.firstKept) continue; // An earlier run recorded it, and the file stayed.
      const after = files[at + 1] as AuditFile;
      const { head } = await endOf([file], file);
      const last = after.first - 1;
      const following = parseLine((await firstLineOf(after)) ?? '');
      const hash = following?.previous ?? this.#head.hash;
      // If somebody removed files, the daemon must not record that as its own work.
      if (first !== begin.firstKept) damage = `${linesAre(begin.firstKept, first - 1)} missing`;
      else if (head.line !== last || head.hash !== hash)
        damage = `${name} does not end with the line that line ${after.first} follows from`;
      if (damage !== null) entries.push({ event: 'damaged', what: damage });
      entries.push({ event: 'pruned', file: name, first, last, hash });
      begin = { firstKept: after.first, firstKeptPrevious: hash };
    }
    return { files: over, entries, begin, damage };
  }

  #damaged(what: string): void {
    this.#damage = what;
    this.note({ event: 'damaged', what });
  }

  #failed(reason: unknown, waiting: readonly Waiting[]): void {
    const error =
      reason instanceof StoreError
        ? reason
        : new StoreError('failed', `${this.#path} cannot be written`, { cause: reason });
    const first = this.#trouble === null;
    this.#trouble = error;
    const refused = [...waiting, ...this.#waiting.splice(0)];
    this.#missed += refused.length;
    for (const { reject } of refused) reject(error);
    if (first) this.#options.onTrouble(error);
    if (this.#closed) return;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#work(), this.#options.retryMs ?? 1000);
  }

  #recovered(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#options.onTrouble(null);
  }

  #scheduleRemember(): void {
    if (this.#rememberSoon !== null || this.#closed) return;
    this.#rememberSoon = setTimeout(() => {
      this.#rememberSoon = null;
      this.#remember({ closed: false }).catch(() => {}); // The next line tries again.
    }, rememberMs);
    this.#rememberSoon.unref();
  }
}

interface Pruning {
  files: AuditFile[];
  entries: AuditEntry[];
  /** The beginning of the log without these files. */
  begin: Begin;
  damage: string | null;
}

class TooLong extends Error {}

/**
 * Settles as `promise` does, or rejects with `TooLong` after `ms` milliseconds. The promise itself goes on.
 */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const tooLong = Promise.withResolvers<void>();
  const timer = setTimeout(() => tooLong.reject(new TooLong(`no answer in ${ms} ms`)), ms);
  try {
    await Promise.race([promise, tooLong.promise]);
  } finally {
    clearTimeout(timer);
  }
}
