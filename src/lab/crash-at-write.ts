/**
 * A daemon loads this file first (`--import`). The process then kills itself in the middle of its n-th change
 * of a file in a store, counted from its start. `HOLDFAST_CRASH_AT_WRITE` is n. A write has then written half
 * of its bytes. A rename or an unlink has not happened yet.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { sep } from 'node:path';

const crashAt = Number(process.env.HOLDFAST_CRASH_AT_WRITE);
let writes = 0;

const inStore = (path: unknown): boolean => String(path).includes(`${sep}store${sep}`);

function isLast(): boolean {
  writes += 1;
  return writes === crashAt;
}

const crash = (): Promise<never> => {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {}); // the signal ends the process
};

const { open, rename, unlink } = fs;

fs.open = async (path, ...rest) => {
  const file = await open(path, ...rest);
  if (!inStore(path)) return file;
  const whole = { write: file.write.bind(file), writeFile: file.writeFile.bind(file) };
  file.writeFile = async (content, ...options) => {
    if (!isLast()) return whole.writeFile(content, ...options);
    const bytes = content as Uint8Array;
    await whole.writeFile(bytes.subarray(0, bytes.length >> 1));
    return crash();
  };
  file.write = (async (bytes: Uint8Array, offset: number, length: number, position: number) => {
    if (!isLast()) return whole.write(bytes, offset, length, position);
    await whole.write(bytes, offset, length >> 1, position);
    return crash();
  }) as typeof file.write;
  return file;
};
fs.rename = async (from, to) => (inStore(to) && isLast() ? crash() : rename(from, to));
fs.unlink = async (path) => (inStore(path) && isLast() ? crash() : unlink(path));
syncBuiltinESMExports();
