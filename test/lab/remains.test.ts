/** The search for old sealed records can find them: an erased generation leaves nothing, a copy of one is found. */
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Remains } from '../../src/lab/remains.ts';
import { FileStore } from '../../src/node/store/file-store.ts';

describe('the search for remains of older generations', () => {
  let home: string;
  let vault: string;
  let store: FileStore;
  let remains: Remains;

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'holdfast-remains-'));
    vault = join(home, 'store', 'vault');
    mkdirSync(join(home, 'elsewhere'));
    remains = new Remains();
    store = new FileStore({
      folder: join(home, 'store'),
      cipher: 'aes',
      randomBytes: (length) => new Uint8Array(randomBytes(length)),
    });
    await store.open();
    for (let commit = 0; commit < 3; commit += 1) {
      await store.commit({ puts: [['share', new Uint8Array(randomBytes(900))]], deletes: [] });
      remains.gather(home);
    }
  });
  afterEach(async () => {
    await store.close();
    rmSync(home, { recursive: true });
  });

  const oldFile = (start: string): string =>
    join(vault, readdirSync(vault).find((name) => name.startsWith(start)) ?? '');
  const search = (): string[] => {
    const generation = Remains.currentGeneration(home);
    return [...new Set(remains.search([home], new Map([[home, generation ?? 0]])).map(({ path }) => path))];
  };
  const replaceShares = () =>
    store.commit({ puts: [['share', new Uint8Array(randomBytes(900))]], deletes: [] }, { rotate: true });

  test('finds nothing after a rotation, and does not take the newest records for old ones', async () => {
    expect(search()).toEqual([]);
    await replaceShares();
    remains.gather(home);
    expect(remains.olderGenerations(home, Remains.currentGeneration(home) ?? 0)).toBe(1);
    expect(search()).toEqual([]);
  });

  test.each(['journal', 'snapshot', 'key'])(
    'finds a copy of the old %s wherever in the home it lies',
    async (kind) => {
      const copy = join(home, 'elsewhere', 'copy');
      copyFileSync(oldFile(kind), copy);
      await replaceShares();
      expect(search()).toEqual([copy]);
    },
  );

  test('finds a part of an old journal in the middle of another file', async () => {
    const part = readFileSync(oldFile('journal')).subarray(700, 1300);
    const hidden = join(home, 'elsewhere', 'hidden');
    await replaceShares();
    writeFileSync(hidden, Buffer.concat([randomBytes(333), part, randomBytes(100)]));
    expect(search()).toEqual([hidden]);
  });

  test('says nothing about a home in which an older generation is just being erased', () => {
    writeFileSync(join(vault, 'snapshot-999'), randomBytes(100));
    expect(Remains.currentGeneration(home)).toBeNull();
  });
});
