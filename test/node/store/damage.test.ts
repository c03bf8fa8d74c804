import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encode } from 'cborg';
import { expect, test } from 'vitest';
import { FileStore, recordBytesMax } from '../../../src/node/store/file-store.ts';
import { fromSystemError } from '../../../src/node/store/store-error.ts';
import { hex } from '../../../src/protocol/records/codec.ts';
import { temporaryFolder } from './support.ts';

const secret = Uint8Array.from(randomBytes(24));

/** A closed store whose journal holds three frames. Gives its folder and the path of its newest file of a kind. */
async function writtenStore() {
  const folder = `${temporaryFolder()}/store`;
  const store = storeIn(folder);
  await store.open();
  await store.commit({ puts: [['a', secret]], deletes: [] }, { rotate: true });
  for (const key of ['b', 'c', 'd']) await store.commit({ puts: [[key, secret]], deletes: [] });
  await store.close();
  const vault = join(folder, 'vault');
  const path = (start: string) => join(vault, readdirSync(vault).find((name) => name.startsWith(start))!);
  return { folder, key: path('key'), snapshot: path('snapshot'), journal: path('journal') };
}

function storeIn(folder: string): FileStore {
  return new FileStore({
    folder,
    cipher: 'xchacha20',
    randomBytes: (length) => Uint8Array.from(randomBytes(length)),
  });
}

function flipByte(path: string, position: number): void {
  const bytes = readFileSync(path);
  bytes[position]! ^= 0x10;
  writeFileSync(path, bytes);
}

type Written = Awaited<ReturnType<typeof writtenStore>>;

test('a store of another version of Holdfast is called whole, and left as it is', async () => {
  const { folder, key } = await writtenStore();
  const record = encode([1, 1, randomBytes(32)]); // as the first format had it
  writeFileSync(key, Buffer.concat([record, createHash('sha256').update(record).digest()]));
  const before = contentsOf(dirname(key));
  const error = await storeIn(folder)
    .open()
    .catch((reason: Error) => reason);
  expect(error).toMatchObject({ code: 'other-version', message: expect.stringContaining('is whole') });
  expect(String(error)).not.toContain('reinstate');
  expect(contentsOf(dirname(key))).toEqual(before);
});

const contentsOf = (folder: string) =>
  readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'hex')]);

test.each<[string, (files: Written) => void]>([
  ['a changed snapshot', ({ snapshot }) => flipByte(snapshot, 50)],
  ['a shortened snapshot', ({ snapshot }) => truncateSync(snapshot, 40)],
  ['a lost snapshot', ({ snapshot }) => rmSync(snapshot)],
  ['a lost journal', ({ journal }) => rmSync(journal)],
  ["a changed header of the journal's first frame", ({ journal }) => flipByte(journal, 2)],
  ["a changed length of the journal's first frame", ({ journal }) => flipByte(journal, 9)],
  ["a changed text in the journal's first frame", ({ journal }) => flipByte(journal, 60)],
  ['a changed key', ({ key }) => flipByte(key, 10)],
  ['a lost key', ({ key }) => rmSync(key)],
  ['a key of another store', ({ key }) => writeFileSync(key, otherKey)],
])('%s is a clear error that says what to do, not a wrong record', async (_, damage) => {
  const files = await writtenStore();
  damage(files);
  const error = await storeIn(files.folder)
    .open()
    .catch((reason: Error) => reason);
  expect(error).toMatchObject({ code: 'damaged', message: expect.stringContaining('reinstate') });
  expect(String(error)).not.toContain(hex(secret));
  // A refused open leaves no lock behind.
  await expect(storeIn(files.folder).open()).rejects.toMatchObject({ code: 'damaged' });
});

const otherKey = await (async () => {
  const folder = `/tmp/holdfast-store-other-${process.pid}`;
  const store = storeIn(folder);
  await store.open();
  await store.commit({ puts: [], deletes: [] }, { rotate: true });
  await store.close();
  const bytes = readFileSync(join(folder, 'vault', 'key-b'));
  rmSync(folder, { recursive: true });
  return bytes;
})();

test('a torn last frame is dropped, and the rest sealed anew', async () => {
  const files = await writtenStore();
  truncateSync(files.journal, readFileSync(files.journal).length - 3);
  const store = storeIn(files.folder);
  const records = await store.open();
  expect([...records.keys()].sort()).toEqual(['a', 'b', 'c']);
  await store.close();
  expect(readdirSync(join(files.folder, 'vault'))).toEqual(['journal-3', 'key-a', 'snapshot-3']);
});

test('a file that cannot be read is named', async () => {
  const files = await writtenStore();
  rmSync(files.snapshot);
  mkdirSync(files.snapshot);
  await expect(storeIn(files.folder).open()).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringContaining(files.snapshot),
  });
});

test.each([
  ['ENOSPC', 'write', 'full'],
  ['EDQUOT', 'write', 'full'],
  ['EROFS', 'write', 'read-only'],
  ['EACCES', 'write', 'read-only'],
  ['EACCES', 'read', 'unreadable'],
  ['EIO', 'read', 'unreadable'],
  ['EIO', 'write', 'failed'],
] as const)("the system's %s in a %s is the store's %s", (reason, doing, code) => {
  const error = Object.assign(new Error('system'), { code: reason });
  expect(fromSystemError(error, doing, '/home/file')).toMatchObject({
    name: 'StoreError',
    code,
    message: expect.stringContaining('/home/file'),
  });
});

test('a bug is not dressed up as a disk error', () => {
  const bug = new TypeError('undefined is not a function');
  expect(fromSystemError(bug, 'read', '/home/file')).toBe(bug);
});

test('a record over the limit is refused, and the store goes on', async () => {
  const folder = `${temporaryFolder()}/store`;
  const store = storeIn(folder);
  await store.open();
  const large = new Uint8Array(recordBytesMax + 1);
  await expect(store.commit({ puts: [['a', large]], deletes: [] })).rejects.toMatchObject({
    code: 'too-large',
  });
  await store.commit({ puts: [['a', secret]], deletes: [] });
  await store.close();
});
