import { chmod, type FileHandle, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk } from './disk.ts';
import { fromSystemError } from './store-error.ts';

const zerosBytesMax = 64 * 1024;

/** The machine's file system. */
export const realDisk: Disk = {
  makeFolder: (folder) =>
    reporting('write', folder, async () => {
      const firstMade = await mkdir(folder, { recursive: true, mode: 0o700 });
      await chmod(folder, 0o700);
      if (firstMade === undefined) return;
      // Each new folder is a name in the folder above it, so that folder is synced too.
      const top = dirname(firstMade);
      for (let above = dirname(folder); above.length >= top.length; above = dirname(above)) {
        await withFile(above, 'r', (handle) => handle.sync());
        if (above === top) break;
      }
    }),

  list: (folder) =>
    reporting('read', folder, async () => {
      const entries = await readdir(folder, { withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    }),

  read: (path) =>
    reporting('read', path, async () => {
      try {
        return new Uint8Array(await readFile(path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    }),

  write: (path, bytes) => writeDurably(path, 'w', bytes),
  append: (path, bytes) => writeDurably(path, 'a', bytes),

  zero: (path) =>
    reporting('write', path, () =>
      withFile(path, 'r+', async (handle) => {
        const { size } = await handle.stat();
        const zeros = new Uint8Array(Math.min(size, zerosBytesMax));
        for (let position = 0; position < size; ) {
          const length = Math.min(zeros.length, size - position);
          const { bytesWritten } = await handle.write(zeros, 0, length, position);
          position += bytesWritten;
        }
        await handle.sync();
      }),
    ),

  rename: (from, to) => reporting('write', to, () => rename(from, to)),
  unlink: (path) => reporting('write', path, () => unlink(path)),
  syncFile: (path) => reporting('write', path, () => withFile(path, 'r', (handle) => handle.sync())),
  syncFolder: (folder) => reporting('write', folder, () => withFile(folder, 'r', (handle) => handle.sync())),
};

function writeDurably(path: string, flags: 'w' | 'a', bytes: Uint8Array): Promise<void> {
  return reporting('write', path, () =>
    withFile(path, flags, async (handle) => {
      await handle.writeFile(bytes);
      await handle.sync();
    }),
  );
}

async function withFile<T>(path: string, flags: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, flags, 0o600);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

async function reporting<T>(doing: 'read' | 'write', path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fromSystemError(error, doing, path);
  }
}
