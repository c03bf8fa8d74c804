import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fromSystemError, StoreError } from './store-error.ts';

/**
 * Takes the lock. The promise gives the function that releases it.
 * @throws StoreError (as a rejection) `locked` when another process holds the lock
 */
export type TakeLock = () => Promise<() => Promise<void>>;

const lockPath = (folder: string): string => join(folder, 'lock');

interface Holder {
  readonly pid: number;
  /**
   * The start of the process, which tells it from a later process with the same number. Empty where the
   * system does not say.
   */
  readonly started: string;
}

/**
 * A lock for one process at a time: the file `lock` in the folder names the process. The lock of a dead
 * process is taken over, however that process died.
 */
export function pidFileLock(folder: string): TakeLock {
  const path = lockPath(folder);
  return async () => {
    const own = JSON.stringify({ pid: process.pid, started: await startOf(process.pid) } satisfies Holder);
    try {
      while (!(await createWhole(path, own))) {
        const found = await readText(path);
        if (found === undefined) continue;
        if (await isAlive(found)) throw lockedBy(path, found);
        await removeStale(path, found);
      }
      await removeLeftovers(path);
    } catch (error) {
      throw fromSystemError(error, 'write', path);
    }
    return () => rm(path, { force: true });
  };
}

/** The number of the process that the lock names, alive or dead. Null when there is no lock. */
export function lockHolder(folder: string): number | null {
  try {
    return parseHolder(readFileSync(lockPath(folder), 'utf8'))?.pid ?? null;
  } catch {
    return null; // There is no lock, or this process may not read it.
  }
}

/** Makes a file together with its content: no reader ever finds it empty. False when the name is taken. */
async function createWhole(path: string, content: string): Promise<boolean> {
  const temporary = uniqueName(path);
  await writeFile(temporary, content, { mode: 0o600, flag: 'wx' });
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Removes the lock of a dead process. Two processes may find the same dead lock. The slower one then moves
 * away the fresh lock of the faster one, so it puts that lock back.
 */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = uniqueName(path);
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = await readText(aside);
  if (moved !== stale && moved !== undefined) await link(aside, path);
  await rm(aside, { force: true });
}

/** Removes the files of processes that died while they took the lock. */
async function removeLeftovers(path: string): Promise<void> {
  for (const name of await readdir(dirname(path))) {
    const [, pid] = /^\.(\d+)-[0-9a-f]+$/.exec(name.slice(basename(path).length)) ?? [];
    if (pid !== undefined && name.startsWith(basename(path)) && !isRunning(Number(pid)))
      await rm(join(dirname(path), name), { force: true });
  }
}

async function isAlive(lock: string): Promise<boolean> {
  const holder = parseHolder(lock);
  if (holder === undefined) return false;
  return isRunning(holder.pid) && holder.started === (await startOf(holder.pid));
}

/** Whether a process with this number is alive, of any user. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: the process lives, and belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function parseHolder(lock: string): Holder | undefined {
  try {
    const { pid, started } = JSON.parse(lock) as Partial<Holder>;
    if (pid === undefined || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
    return typeof started === 'string' ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

/** The machine's boot id, and the process's start since boot, from /proc. Empty on systems without /proc. */
async function startOf(pid: number): Promise<string> {
  const boot = await readText('/proc/sys/kernel/random/boot_id');
  const stat = await readText(`/proc/${pid}/stat`);
  if (boot === undefined || stat === undefined) return '';
  // proc(5): the start is the 22nd field. The second field is the command's name in parentheses, and may hold
  // blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return `${boot.trim()} ${fields[19] ?? ''}`;
}

function lockedBy(path: string, lock: string): StoreError {
  const pid = parseHolder(lock)?.pid;
  return new StoreError(
    'locked',
    `${path} is held by process ${pid}: stop that one first, or use another folder`,
  );
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

function uniqueName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(6).toString('hex')}`;
}
