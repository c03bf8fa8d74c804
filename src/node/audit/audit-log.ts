/**
 * The audit log of one peer: append-only files of one JSON line each, where every line names the hash of the line
 * before. See README.md.
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

export interface AuditLogOptions {
  /** Made when it does not exist. */
  folder: string;
  /** A file that would grow over this is followed by a new one. */
  fileBytesMax: number;
  /** Older files are removed; at least 2. */
  filesKept: number;
  /** Unix milliseconds. */
  wallMs: () => number;
  /** What the sealed store remembers of the log; null before the first time. */
  remembered: AuditMemory | AuditHead | null;
  /** Makes the sealed store remember, in the order of the calls. May fail: it is tried again. */
  remember: (memory: AuditMemory) => Promise<void>;
  /** Called when lines cannot be written, and with null when they can again. */
  onTrouble: (error: StoreError | null) => void;
  /** How long a failed write waits before the next try. */
  retryMs?: number;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: () => void;
  readonly reject: (error: StoreError) => void;
}

/** Lines that nobody waits for, kept while the disk takes none. */
const owedMax = 256;
/** The sealed store remembers the end of the log at the latest this long after a line was written. */
const rememberMs = 10_000;
/** A store that does not take the beginning of a log for so long is a trouble; it is tried again. */
const beginMs = 2_000;
const tornShownMax = 512;

export class AuditLog {
  readonly #options: AuditLogOptions;
  #handle: FileHandle;
  #path: string;
  /** Bytes that are whole lines; what lies behind them is a write that failed. */
  #bytes: number;
  #head: AuditHead;
  #begin: Begin;
  /** Before its first line: the store may say still that nothing follows the end it remembers. */
  #begun: 'no' | Promise<void> | 'yes' = 'no';
  #pruning: Promise<void> = Promise.resolve();
  #damage: string | null = null;
  readonly #waiting: Waiting[] = [];
  #owed: AuditEntry[] = [];
  #missed = 0;
  /** A write failed: behind the whole lines may stand a part of one. */
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
   * Opens the log where it ended: a torn last line is cut off and noted. What differs from what the store
   * remembers is noted as damage: after lines that are missing the chain goes on from what was remembered, so
   * that the gap stays; lines that were added to a log that was closed are moved aside. Throws `StoreError`.
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

  /** What a check of the files is held against. */
  get extent(): AuditExtent {
    return { ...this.#head, ...this.#begin };
  }

  /** Why no line can be written at present, or null. */
  get trouble(): StoreError | null {
    return this.#trouble;
  }

  /** What was found changed or removed since this log was opened, or null. */
  get damage(): string | null {
    return this.#damage;
  }

  /** Resolves when the line is durable; rejects with `StoreError` when it is not, and then nothing of it is kept. */
  append(entry: AuditEntry): Promise<void> {
    if (this.#closed) return Promise.reject(new StoreError('closed', 'the audit log is closed'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#work();
    });
  }

  /** Writes the line as soon as the disk takes it; of more than a bound that must wait only the number is kept. */
  note(entry: AuditEntry): void {
    if (this.#closed) return;
    if (this.#owed.length < owedMax) this.#owed.push(entry);
    else this.#missed += 1;
    this.#work();
  }

  /** Writes what waits, and has the store remember the end. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#rememberSoon !== null) clearTimeout(this.#rememberSoon);
    await this.#working;
    // Behind a write that failed may stand lines: the next start takes them as they are.
    await this.#remember({ closed: !this.#dirty }).catch(() => {}); // the store may be what failed
    await this.#pruning;
    await this.#handle.close();
  }

  #remember({ closed }: { closed: boolean }): Promise<void> {
    return this.#options.remember({ ...this.extent, closed });
  }

  /**
   * Has the store know where the log begins, and that lines follow, before the first one does: a crash after it would
   * look like lines that somebody added.
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

  /** Takes all that waits as one batch, so that many lines share one sync. */
  async #writeAll(): Promise<void> {
    // Lines of the same turn share the first sync already.
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
          // Before all others; owed, as what was found now shows no more when this write fails.
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
    // In this same turn: whoever goes on with its next line finds nobody at work.
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
   * The lines that say so are written, and now the store must know before the files go: a crash in between leaves more
   * than it says, never less. A file that stays is removed after the next one. Nobody's line waits for this.
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

  /** Cuts off what a failed write left; says what somebody else did to the file, or null. */
  async #changedOutside(): Promise<string | null> {
    const { size, nlink } = await this.#handle.stat();
    const path = this.#path;
    if (nlink === 0 || size < this.#bytes) {
      // Half a line may stand at the end: what follows is in a file of its own.
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

  /** The files over the number that is kept, and the lines that record each one's end before it goes. */
  async #oldest(): Promise<Pruning> {
    const files = auditFiles(this.#options.folder);
    const over = files.slice(0, Math.max(0, files.length - this.#options.filesKept));
    const entries: AuditEntry[] = [];
    let begin = this.#begin;
    let damage: string | null = null;
    for (const [at, file] of over.entries()) {
      const { name, first } = file;
      if (first < begin.firstKept) continue; // recorded before, and stayed
      const after = files[at + 1] as AuditFile;
      const { head } = await endOf([file], file);
      const last = after.first - 1;
      const following = parseLine((await firstLineOf(after)) ?? '');
      const hash = following?.previous ?? this.#head.hash;
      // Whoever removed files before must not have this record it as its own doing.
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
      this.#remember({ closed: false }).catch(() => {}); // the next line tries again
    }, rememberMs);
    this.#rememberSoon.unref();
  }
}

interface Pruning {
  files: AuditFile[];
  entries: AuditEntry[];
  /** Where the log begins without them. */
  begin: Begin;
  damage: string | null;
}

class TooLong extends Error {}

/** As `promise` settles, or `TooLong`; that goes on. */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  const tooLong = Promise.withResolvers<void>();
  const timer = setTimeout(() => tooLong.reject(new TooLong(`no answer in ${ms} ms`)), ms);
  try {
    await Promise.race([promise, tooLong.promise]);
  } finally {
    clearTimeout(timer);
  }
}
