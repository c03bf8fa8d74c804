/** Sealing much at once must not stop the event loop: a daemon whose loop stands still looks dead to its peers. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { CipherName } from '../../src/cipher/local-cipher.ts';
import { FileStore } from '../../src/node/store/file-store.ts';
import { sealFrame, ThreadSealer } from '../../src/node/store/sealing.ts';

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function storeWith(cipher: CipherName): Promise<FileStore> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-store-'));
  folders.push(folder);
  return new FileStore({ folder: join(folder, 'store'), cipher, randomBytes });
}

/** The longest time for which nothing else could run while `action` did. */
async function longestBlockMs(action: () => Promise<void>): Promise<number> {
  let longest = 0;
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
  }, 1);
  await action();
  longest = Math.max(longest, performance.now() - before);
  clearInterval(timer);
  return longest;
}

const megabytes = 6;
const puts = Array.from(
  { length: megabytes },
  (_, at) => [`proposals/${at}`, new Uint8Array(randomBytes(1024 * 1024))] as const,
);

// In the event loop each of the two takes seconds.
test.each(['aes', 'blowfish'] as const)(
  'a store with %s goes past the bound of its journal, and rotates, while the event loop runs',
  async (cipher) => {
    const store = await storeWith(cipher);
    await store.open();
    await store.commit({ puts: [['one', new Uint8Array(256 * 1024)]], deletes: [] }); // the thread is there
    const times: number[] = [];
    times.push(await longestBlockMs(() => store.commit({ puts, deletes: ['one'] })));
    times.push(await longestBlockMs(() => store.commit({ puts: [], deletes: [] }, { rotate: true })));
    await store.close();
    const again = await store.open();
    expect(again.size).toBe(megabytes);
    for (const [key, value] of puts) expect(Buffer.compare(again.get(key) as Uint8Array, value)).toBe(0);
    await store.close();
    expect(Math.max(...times), `${times.map(Math.round)} ms`).toBeLessThan(400);
  },
  60_000,
);

test('without a thread what is long is sealed all the same', async () => {
  const sealer = new ThreadSealer();
  const generation = { number: 1, storeKey: new Uint8Array(randomBytes(32)) };
  const changes = new Map([['one', new Uint8Array(randomBytes(256 * 1024))]]);
  const request = { generation, number: 1, cipher: 'aes', changes } as const;
  const first = sealer.seal(request);
  await sealer.close(); // the thread ends in the middle of it
  expect(await first).toEqual(sealFrame(request));
  expect(await sealer.seal(request)).toEqual(sealFrame(request));
  await sealer.close();
});
