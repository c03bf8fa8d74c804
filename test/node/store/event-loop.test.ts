/** Sealing much at once must not stop the event loop: a daemon whose loop stands still looks dead to its peers. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { FileStore } from '../../../src/node/store/file-store.ts';
import { readFrame } from '../../../src/node/store/frame.ts';
import { type Sealer, sealerInPlace, sealFrame, ThreadSealer } from '../../../src/node/store/sealing.ts';

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function storeWith(sealer: Sealer): Promise<FileStore> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-store-'));
  folders.push(folder);
  return new FileStore({ folder: join(folder, 'store'), cipher: 'blowfish', randomBytes, sealer });
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

const megabytes = 3;
const puts = Array.from(
  { length: megabytes },
  (_, at) => [`proposals/${at}`, new Uint8Array(randomBytes(1024 * 1024))] as const,
);

/** How long the event loop stood still at most while a store went past the bound of its journal, and rotated. */
async function longestBlockOf(sealer: Sealer): Promise<number> {
  const store = await storeWith(sealer);
  await store.open();
  await store.commit({ puts: [['one', new Uint8Array(256 * 1024)]], deletes: [] }); // the thread is there
  const times = [
    await longestBlockMs(() => store.commit({ puts, deletes: ['one'] })),
    await longestBlockMs(() => store.commit({ puts: [], deletes: [] }, { rotate: true })),
  ];
  await store.close();
  const again = await store.open();
  expect(again.size).toBe(megabytes);
  for (const [key, value] of puts) expect(Buffer.compare(again.get(key) as Uint8Array, value)).toBe(0);
  await store.close();
  return Math.max(...times);
}

test('the event loop stands still for a small part of the time that sealing takes', async () => {
  const [inPlace, inThread] = [await longestBlockOf(sealerInPlace), await longestBlockOf(new ThreadSealer())];
  expect(inThread / inPlace).toBeLessThan(1 / 3);
}, 120_000);

test('a thread that dies over one frame answers no other', async () => {
  const sealer = new ThreadSealer();
  const generation = { number: 1, storeKey: new Uint8Array(randomBytes(32)) };
  const changes = new Map([['one', new Uint8Array(randomBytes(256 * 1024))]]);
  const request = (number: number) => ({ generation, number, cipher: 'aes', changes }) as const;
  const dying = sealer.seal(request(1));
  const closing = sealer.close();
  const frames = await Promise.all([2, 3, 4].map((number) => sealer.seal(request(number))));
  for (const [at, frame] of frames.entries()) expect(readFrame(frame, 0, at + 2).kind).toBe('frame');
  expect(readFrame(await dying, 0, 1).kind).toBe('frame');
  await closing;
  await sealer.close();
});

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
