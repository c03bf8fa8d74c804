/**
 * The files of an audit log: each named by the number of its first line, so that they sort in the order of
 * the chain.
 */
import { existsSync, readdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

export interface AuditFile {
  name: string;
  path: string;
  /** The number of its first line. */
  first: number;
}

export const auditFileName = (first: number): string => `${String(first).padStart(12, '0')}.jsonl`;

/** Oldest first; none when there is no such folder. */
export function auditFiles(folder: string): AuditFile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const first = /^(\d{12})\.jsonl$/.exec(name)?.[1];
      return first === undefined ? [] : [{ name, path: join(folder, name), first: Number(first) }];
    })
    .sort((a, b) => a.first - b.first);
}

/** The lines of one file, without their newlines; a torn last line is among them. Rejects as `open` does. */
export async function* linesOf(file: AuditFile): AsyncGenerator<string> {
  let line = '';
  // A line ends with a newline and nothing else: JSON leaves other separators (U+2028) as they are.
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

/** Whether a file that was listed has gone: while a daemon writes, the oldest one is removed as configured. */
export const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Null when the file has no line yet. */
export async function firstLineOf(file: AuditFile): Promise<string | null> {
  for await (const line of linesOf(file)) return line;
  return null;
}

/** The beginning of a sentence about some lines. */
export const linesAre = (first: number, last: number): string =>
  first === last ? `line ${first} is` : `lines ${first} to ${last} are`;
