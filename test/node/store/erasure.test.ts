import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileStore } from '../../../src/node/store/file-store.ts';
import { temporaryFolder } from './support.ts';

const windowBytes = 16;

test('after a rotation no byte of an older record, store key or plaintext remains in any file', async () => {
  const folder = `${temporaryFolder()}/store`;
  const madeKeys: Uint8Array[] = [];
  const store = new FileStore({
    folder,
    cipher: 'blowfish',
    randomBytes: (length) => {
      const key = Uint8Array.from(randomBytes(length));
      madeKeys.push(Uint8Array.from(key));
      return key;
    },
  });
  await store.open();
  const oldShares = [1, 2, 3].map(() => Uint8Array.from(randomBytes(300)));
  for (const share of oldShares) await store.commit({ puts: [['share', share]], deletes: [] });
  await store.commit({ puts: [], deletes: [] }, { rotate: true });
  await store.commit({ puts: [['share', oldShares[0]!]], deletes: [] });

  const vault = join(folder, 'vault');
  const oldFiles = readdirSync(vault).map((name) => join(vault, name));
  const oldBytes = oldFiles.map((path) => readFileSync(path));
  // Held open, so that we see what became of the bytes themselves and not only of their names.
  const oldHandles = oldFiles.map((path) => openSync(path, 'r'));
  const lastKey = madeKeys.length;

  const newShare = Uint8Array.from(randomBytes(300));
  await store.commit({ puts: [['share', newShare]], deletes: [] }, { rotate: true });

  const remains = Buffer.concat(filesBelow(folder).map((path) => readFileSync(path)));
  for (const secret of [...oldShares, ...madeKeys.slice(0, lastKey), newShare])
    expectNoTrace(remains, secret);
  for (const bytes of oldBytes) expectNoTrace(remains, bytes);
  for (const handle of oldHandles) {
    expect(readFileSync(handle).every((byte) => byte === 0)).toBe(true);
    closeSync(handle);
  }
  await store.close();
});

test('plaintext never reaches the disk, except for public records', async () => {
  const folder = `${temporaryFolder()}/store`;
  const store = new FileStore({
    folder,
    cipher: 'des',
    randomBytes: (length) => Uint8Array.from(randomBytes(length)),
  });
  await store.open();
  const secret = Uint8Array.from(randomBytes(200));
  const publicValue = Uint8Array.from(randomBytes(200));
  await store.commit({
    puts: [
      ['share', secret],
      ['chain/000000001', publicValue],
    ],
    deletes: [],
  });
  await store.close();
  const files = filesBelow(folder);
  expectNoTrace(Buffer.concat(files.map((path) => readFileSync(path))), secret);
  expect(readFileSync(join(folder, 'chain/000000001')).subarray(32).equals(publicValue)).toBe(true);
});

test('only this user may read the store', async () => {
  const folder = `${temporaryFolder()}/store`;
  const store = new FileStore({
    folder,
    cipher: 'aes',
    randomBytes: (length) => Uint8Array.from(randomBytes(length)),
  });
  await store.open();
  await store.commit({
    puts: [
      ['a', new Uint8Array(5)],
      ['chain/000000001', new Uint8Array(5)],
    ],
    deletes: [],
  });
  for (const path of filesBelow(folder)) expect(statSync(path).mode & 0o777).toBe(0o600);
  for (const path of ['.', 'vault', 'chain']) expect(statSync(join(folder, path)).mode & 0o777).toBe(0o700);
  await store.close();
});

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** No stretch of `windowBytes` of the secret stands anywhere in the bytes. */
function expectNoTrace(bytes: Buffer, secret: Uint8Array): void {
  for (let start = 0; start + windowBytes <= secret.length; start += 1) {
    const window = Buffer.from(secret.subarray(start, start + windowBytes));
    if (window.every((byte) => byte === 0)) continue;
    expect(bytes.includes(window)).toBe(false);
  }
}
