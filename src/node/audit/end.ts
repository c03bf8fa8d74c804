/**
 * Finds the beginning and the end of an audit log on the disk, and compares both with the sealed store's
 * record.
 */
import { type FileHandle, open, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { realDisk } from '../store/real-disk.ts';
import { StoreError } from '../store/store-error.ts';
import {
  type AuditExtent,
  type AuditHead,
  type AuditMemory,
  auditLineVersion,
  emptyHead,
  hashOfLine,
  parseLine,
} from './entry.ts';
import { type AuditFile, auditFileName, auditFiles, firstLineOf, linesAre, linesOf } from './files.ts';

/** The number of the oldest line that was not pruned, and the hash of the line before it. */
export type Begin = Pick<AuditExtent, 'firstKept' | 'firstKeptPrevious'>;

/** The end of the log on the disk, ready for the next line. */
export interface End {
  /** The open file for the next line. */
  handle: FileHandle;
  path: string;
  /** The length of the whole lines in that file, in bytes. */
  bytes: number;
  head: AuditHead;
  begin: Begin;
  /** Half a line at the end, which was cut off. Null when there was none. */
  torn: string | null;
  /** In words: how the log differs from the store's record. Null when it does not. */
  damage: string | null;
}

/**
 * Nothing may follow a line of a later version, be cut off there or be moved aside.
 * @throws StoreError `other-version` (as a rejection) when the last whole line is of a later version
 */
export async function checkEndVersion(folder: string): Promise<void> {
  for (const { path } of auditFiles(folder).toReversed()) {
    const last = (await readFile(path, 'utf8')).split('\n').slice(0, -1).at(-1);
    if (last === undefined) continue; // made just before a crash
    const { v = 0, line = 0 } = parseLine(last) ?? {};
    if (v > auditLineVersion)
      throw new StoreError(
        'other-version',
        `line ${line} in ${path} has version ${v}, and this Holdfast knows version ${auditLineVersion}: upgrade Holdfast on this machine`,
      );
    return;
  }
}

/**
 * Finds the beginning and the end of the log, cuts off half a line, and compares the log with the store's
 * record.
 * @throws the system's errors (as a rejection), which the caller turns into `StoreError`
 */
export async function findEnd({
  folder,
  remembered,
  wallMs,
}: {
  folder: string;
  /** The sealed store's record of the log. Null before the first start. */
  remembered: AuditMemory | AuditHead | null;
  wallMs: () => number;
}): Promise<End> {
  const closed = remembered !== null && 'closed' in remembered && remembered.closed;
  const added = closed ? await moveAdded(folder, remembered, wallMs()) : null;
  const files = auditFiles(folder);
  const last = files.at(-1);
  const ended = last === undefined ? { head: emptyHead, bytes: 0, torn: null } : await endOf(files, last);
  const begin =
    remembered !== null && 'firstKept' in remembered
      ? { firstKept: remembered.firstKept, firstKeptPrevious: remembered.firstKeptPrevious }
      : await beginOf(files);
  const lacks =
    remembered === null
      ? []
      : [await lackingFirst(files, begin, remembered), await lacking(files, ended.head, remembered)];
  const damage = [added, ...lacks].filter((what) => what !== null).join('; ') || null;
  // The chain goes on from the store's record. So everybody can see the gap.
  const behind = remembered !== null && ended.head.line < remembered.line;
  const head = behind ? { line: remembered.line, hash: remembered.hash } : ended.head;
  const path = last === undefined || behind ? `${folder}/${auditFileName(head.line + 1)}` : last.path;
  const handle = await open(path, 'a', 0o600);
  const bytes = behind ? 0 : ended.bytes;
  await handle.truncate(bytes);
  await handle.datasync();
  await realDisk.syncFolder(folder);
  return { handle, path, bytes, head, begin, torn: ended.torn, damage };
}

/**
 * Moves aside the lines after the end of a log that was closed, and reports them. Null when there are none.
 * The lines are kept. They may be true, when somebody put back an older copy of the store.
 */
async function moveAdded(folder: string, end: AuditHead, wallMs: number): Promise<string | null> {
  const files = auditFiles(folder);
  const aside = (path: string): string => `${path}.added-${wallMs}`;
  let bytes = 0;
  for (const { path } of files.filter(({ first }) => first > end.line)) {
    bytes += (await stat(path)).size;
    await rename(path, aside(path));
  }
  const last = files.findLast(({ first }) => first <= end.line);
  const behind = last === undefined ? null : await bytesUpTo(last, end);
  if (last !== undefined && behind !== null) {
    const added = (await readFile(last.path)).subarray(behind);
    // Half a line says nothing, so it is cut off like half a line after a crash.
    if (added.includes(0x0a)) {
      bytes += added.length;
      await writeFile(aside(last.path), added, { mode: 0o600, flush: true });
      await truncate(last.path, behind);
    }
  }
  return bytes === 0
    ? null
    : `${bytes} bytes stood behind line ${end.line}, with which the daemon had stopped: they are in ${folder}/*.added-${wallMs} now`;
}

/** The length of the lines of `file` up to `end`, in bytes. Null when that line is not in the file. */
async function bytesUpTo(file: AuditFile, end: AuditHead): Promise<number | null> {
  let bytes = 0;
  for await (const text of linesOf(file)) {
    bytes += Buffer.byteLength(text) + 1;
    if (hashOfLine(text) === end.hash) return bytes;
  }
  return null;
}

/** The beginning of the log on the disk. */
async function beginOf([oldest]: readonly AuditFile[]): Promise<Begin> {
  const first = oldest === undefined ? null : parseLine((await firstLineOf(oldest)) ?? '');
  return { firstKept: first?.line ?? 1, firstKeptPrevious: first?.previous ?? emptyHead.hash };
}

/** Null when the log begins where the store says, or before. Otherwise the difference in words. */
async function lackingFirst(
  files: readonly AuditFile[],
  { firstKept, firstKeptPrevious }: Begin,
  remembered: AuditHead,
): Promise<string | null> {
  if (remembered.line < firstKept) return null; // There is no line yet.
  const file = files.find(({ first }) => first === firstKept);
  if (file === undefined) {
    const next = files.find(({ first }) => first > firstKept);
    if (next === undefined) return null; // All lines are gone, and `lacking` says so.
    return `${linesAre(firstKept, next.first - 1)} missing: the file was removed, and not by the daemon`;
  }
  const begin = await beginOf([file]);
  return begin.firstKept === firstKept && begin.firstKeptPrevious === firstKeptPrevious
    ? null
    : `line ${firstKept} is not the one that the store remembers as the oldest: it was changed`;
}

/** The last line of the log: in `last`, or in the files before it while `last` has no line. */
export async function endOf(
  files: readonly AuditFile[],
  last: AuditFile,
): Promise<{ head: AuditHead; bytes: number; torn: string | null }> {
  const content = await readFile(last.path);
  const bytes = content.lastIndexOf(0x0a) + 1;
  const rest = content.subarray(bytes).toString('utf8');
  const torn = rest === '' ? null : rest;
  const lines = content.subarray(0, bytes).toString('utf8').split('\n').slice(0, -1);
  const text = lines.at(-1);
  if (text !== undefined) {
    const line = parseLine(text)?.line ?? last.first + lines.length - 1;
    return { head: { line, hash: hashOfLine(text) }, bytes, torn };
  }
  // The file was made just before a crash, so the chain ends in the file before it.
  const before = files.at(-2);
  const head = before === undefined ? emptyHead : (await endOf(files.slice(0, -1), before)).head;
  return { head, bytes, torn };
}

/** Null when the end that the store remembers is in the log. Otherwise the difference in words. */
async function lacking(
  files: readonly AuditFile[],
  end: AuditHead,
  remembered: AuditHead,
): Promise<string | null> {
  if (remembered.line === 0) return null;
  if (end.line < remembered.line)
    return `the log ends with line ${end.line}, and the store remembers line ${remembered.line}: what follows line ${end.line} was removed`;
  const file = files.findLast(({ first }) => first <= remembered.line);
  // Such a file is younger than every pruned line, so the daemon did not remove it.
  if (file === undefined) return `the file with line ${remembered.line} was removed`;
  if ((await bytesUpTo(file, remembered)) !== null) return null;
  return `line ${remembered.line} is not the one that the store remembers: it was changed`;
}
