/**
 * A store with patience waits until a full or read-only disk takes writes again, and then nothing is lost or
 * left over.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Disk } from '../../../src/node/store/disk.ts';
import { FileStore, type Patience } from '../../../src/node/store/file-store.ts';
import { realDisk } from '../../../src/node/store/real-disk.ts';
import { StoreError } from '../../../src/node/store/store-error.ts';
import { temporaryFolder } from './support.ts';

const writes = new Set(['write', 'append', 'zero', 'rename', 'unlink', 'syncFile', 'syncFolder']);

/**
 * A disk of which the writes numbered `from` to `to` (from 0, after `arm`) fail as on a full disk, with half
 * of the bytes written. `kept`: sealed files that were written over without being zeroed first, so that old
 * blocks may survive.
 */
function failing(from: number, to: number) {
  let count = Number.NEGATIVE_INFINITY;
  const kept: string[] = [];
  const operations = Object.entries(realDisk).map(([name, operation]) => [
    name,
    async (path: string, content: Uint8Array, ...rest: never[]) => {
      if (name === 'write' && path.includes('/vault/')) {
        const before = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
        if (before.some((byte) => byte !== 0)) kept.push(path);
      }
      if (writes.has(name)) {
        count += 1;
        if (count > from && count <= to + 1) {
          if (name === 'append' || name === 'write')
            await realDisk[name](path, content.subarray(0, content.length / 2));
          throw new StoreError('full', `no space left for ${path}: free some`);
        }
      }
      return (operation as (...given: unknown[]) => unknown)(path, content, ...rest);
    },
  ]);
  const arm = (): void => {
    count = 0;
  };
  return { disk: Object.fromEntries(operations) as Disk, arm, kept, reached: () => count > from };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
let seed = 0;
const randomBytes = (length: number): Uint8Array => {
  seed += 1;
  return new Uint8Array(length).fill(seed);
};

async function opened(folder: string, disk: Disk, patience?: Partial<Patience>) {
  const troubles: Array<string | null> = [];
  const store = new FileStore({
    folder,
    cipher: 'aes',
    randomBytes,
    disk,
    patience: {
      until: new AbortController().signal,
      retryMs: 1,
      onTrouble: (error) => troubles.push(error?.code ?? null),
      ...patience,
    },
  });
  return { store, troubles, records: await store.open() };
}

test('whichever write fails twice, the commit is whole and one generation is left', async () => {
  for (let at = 0; ; at += 1) {
    const folder = join(temporaryFolder(), 'store');
    const { disk, arm, kept, reached } = failing(at, at + 1);
    const { store, troubles } = await opened(folder, disk);
    const puts = (name: string) => [
      [name, bytes(name)] as const,
      [`chain/${name}`, bytes(`public ${name}`)] as const,
    ];
    await store.commit({ puts: puts('first'), deletes: [] });
    arm();
    await store.commit({ puts: puts('second'), deletes: ['first'] }, { rotate: true });
    await store.commit({ puts: puts('third'), deletes: ['chain/first'] });
    // What was kept in memory is written anew.
    await store.commit({ puts: puts('fourth'), deletes: [] }, { rotate: true });
    expect(kept).toEqual([]);
    await store.close();
    const { store: again, records } = await opened(folder, realDisk);
    const names = ['fourth', 'second', 'third'];
    expect([...records.keys()].sort()).toEqual(names);
    expect(await again.archivedKeys()).toEqual(names.map((name) => `chain/${name}`));
    for (const name of names) {
      expect(records.get(name)).toEqual(bytes(name));
      expect(Buffer.from((await again.archived(`chain/${name}`)) ?? [])).toEqual(
        Buffer.from(bytes(`public ${name}`)),
      );
    }
    await again.close();
    expect(readdirSync(join(folder, 'vault'))).toHaveLength(3);
    if (!reached()) {
      expect(troubles).toEqual([]);
      break;
    }
    expect(troubles.at(0)).toBe('full');
    expect(troubles.at(-1)).toBeNull();
  }
});

test('a store that is given up fails what waits, and says why', async () => {
  const { disk, arm } = failing(0, Number.POSITIVE_INFINITY);
  const giveUp = new AbortController();
  const { store } = await opened(join(temporaryFolder(), 'store'), disk, {
    until: giveUp.signal,
    onTrouble: () => giveUp.abort(),
  });
  arm();
  await expect(store.commit({ puts: [['a', bytes('a')]], deletes: [] })).rejects.toMatchObject({
    code: 'full',
  });
  await store.close();
});
