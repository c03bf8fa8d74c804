/**
 * The files of an audit log. The name of a file is the number of its first line, so the files sort in the
 * order of the chain.
 */
import { existsSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of an audit log. */
export interface AuditFile {
  name: string;
  path: string;
  /** The number of its first line. */
  first: number;
}

/** The name of the file whose first line has this number. */
export const auditFileName = (first: number): string => `${String(first).padStart(12, '0')}.jsonl`;

/** The files of a folder, oldest first. None when there is no such folder. */
export function auditFiles(folder: string): AuditFile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const first = /^(\d{12})\.jsonl$/.exec(name)?.[1];
      return first === undefined ? [] : [{ name, path: join(folder, name), first: Number(first) }];
    })
    .sort((a, b) => a.first - b.first);
}

/**
 * The lines of one file without their newlines. Half a line at the end is among them. Rejects as `open` does.
 */
export async function* linesOf(file: AuditFile): AsyncGenerator<string> {
  let line = '';
  // Only a newline ends a line. JSON leaves other separators (U+2028) as they are.
  for await (const piece of (await open(file.path)).createReadStream({ encoding: 'utf8' })) {
    const [end = '', ...following] = (piece as string).split('\n');
    line += end;
    for (const next of following) {
      yield line;
      line = next;
    }
  }
  if (line !== '') yield line;
}

/** Whether a listed file is gone. While a daemon writes, it removes the oldest file as the settings say. */
export const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** The first line. Null when the file has no line yet. */
export async function firstLineOf(file: AuditFile): Promise<string | null> {
  for await (const line of linesOf(file)) return line;
  return null;
}

/** The beginning of a sentence about lines `first` to `last`. */
export const linesAre = (first: number, last: number): string =>
  first === last ? `line ${first} is` : `lines ${first} to ${last} are`;
