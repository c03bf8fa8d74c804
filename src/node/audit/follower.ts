import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { auditFiles, isGone } from './files.ts';

/**
 * Reads an audit log that a daemon writes and prunes meanwhile. Each call gives the whole lines since the
 * last call.
 */
export class AuditFollower {
  readonly #folder: string;
  /** For each file, the length of the whole lines that were read, in bytes. */
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
      // The lines are added one by one, because a file may have more lines than a call can have arguments.
      for (const line of bytes.subarray(0, whole).toString('utf8').split('\n'))
        if (line !== '') lines.push(line);
    }
    return lines;
  }
}

/** The bytes of a file from `from` on. Null when the file was removed since it was listed. */
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
