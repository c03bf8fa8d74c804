import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { auditFiles, isGone } from './files.ts';

/**
 * Reads an audit log while it is written and pruned: each call gives the whole lines that came since the one
 * before.
 */
export class AuditFollower {
  readonly #folder: string;
  /** Up to where each file was read, in bytes of whole lines. */
  readonly #read = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  next(): string[] {
    const lines: string[] = [];
    for (const { path } of auditFiles(this.#folder)) {
      const from = this.#read.get(path) ?? 0;
      const bytes = bytesFrom(path, from);
      if (bytes === null) continue;
      const whole = bytes.lastIndexOf(0x0a) + 1;
      this.#read.set(path, from + whole);
      // One by one: a file may have more lines than arguments fit on the stack.
      for (const line of bytes.subarray(0, whole).toString('utf8').split('\n'))
        if (line !== '') lines.push(line);
    }
    return lines;
  }
}

/** Null when the file was removed since it was listed. */
function bytesFrom(path: string, from: number): Buffer | null {
  const file = openedOrGone(path);
  if (file === null) return null;
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
  } finally {
    closeSync(file);
  }
}

function openedOrGone(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}
