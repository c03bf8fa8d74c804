/** A store that is full takes nothing more that would make it larger, and opens, shrinks and goes on. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileStore } from '../../../src/node/store/file-store.ts';
import { temporaryFolder } from './support.ts';

const recordsBytesMax = 100_000;
const record = new Uint8Array(9_000);

const storeIn = (folder: string): FileStore =>
  new FileStore({
    ...{ folder, cipher: 'aes', recordsBytesMax, journalBytesMax: 1_000_000 },
    randomBytes: (length) => Uint8Array.from(randomBytes(length)),
  });

async function filled(folder: string): Promise<FileStore> {
  const store = storeIn(folder);
  await store.open();
  for (let at = 0; ; at += 1) {
    const { bytes } = store.fill();
    if (bytes + record.length + 100 > recordsBytesMax) return store;
    await store.commit({ puts: [[`blames/${at}`, record]], deletes: [] });
  }
}

test('a store filled to its bound refuses what would make it larger before a byte of it is written', async () => {
  const folder = join(temporaryFolder(), 'store');
  const store = await filled(folder);
  const { bytes } = store.fill();
  await expect(
    store.commit({
      puts: [
        ['more', record],
        ['chain/000000009', record],
      ],
      deletes: [],
    }),
  ).rejects.toMatchObject({ code: 'too-large' });
  expect(store.fill().bytes).toBe(bytes);
  expect(await store.archivedKeys()).toEqual([]);
  await store.close();
});

test('it opens, rotates, takes what makes it smaller, and then goes on', async () => {
  const folder = join(temporaryFolder(), 'store');
  await (await filled(folder)).close();
  const store = storeIn(folder);
  const records = await store.open();
  expect(records.size).toBe(11);
  await store.commit({ puts: [], deletes: [] }, { rotate: true });
  await store.commit({ puts: [['own', new Uint8Array(100)]], deletes: ['blames/0', 'blames/1'] });
  await store.commit({ puts: [['share', record]], deletes: [] }, { rotate: true });
  await store.close();
  expect([...(await storeIn(folder).open()).keys()]).toContain('share');
});

test('a store over a bound that was lowered opens and becomes smaller', async () => {
  const folder = join(temporaryFolder(), 'store');
  await (await filled(folder)).close();
  const store = new FileStore({
    ...{ folder, cipher: 'aes', recordsBytesMax: 50_000 },
    randomBytes: (length) => Uint8Array.from(randomBytes(length)),
  });
  await store.open();
  await store.commit({ puts: [['own', new Uint8Array(10)]], deletes: ['blames/0'] });
  await store.commit({ puts: [], deletes: ['blames/1'] }, { rotate: true });
  await store.close();
});
