import { describe, expect, test } from 'vitest';
import type { Store } from '../../../src/node/store/store.ts';
import { hex } from '../../../src/protocol/records/codec.ts';

/** A place where one store after another is opened. */
export interface StoreHome {
  store(): Store;
}

/** What every store promises, whatever it is made of. */
export function storeContract(name: string, makeHome: () => StoreHome): void {
  describe(`${name} keeps the store's contract`, () => {
    test('a new store is empty, and what was committed is there at the next open', async () => {
      const home = makeHome();
      const store = home.store();
      expect((await store.open()).size).toBe(0);
      await store.commit({
        puts: [
          ['share', bytes('one')],
          ['vote', bytes('two')],
        ],
        deletes: [],
      });
      await store.commit({ puts: [['chain/000000001', bytes('value')]], deletes: ['vote'] });
      await store.commit({ puts: [['share', bytes('three')]], deletes: ['never there'] });
      await store.close();
      expect(await contents(home)).toEqual({ share: inHex('three'), 'chain/000000001': inHex('value') });
    });

    test('the archive is no part of what an open reads; a record that is not there is null', async () => {
      const home = makeHome();
      const store = home.store();
      await store.open();
      await store.commit({
        puts: [
          ['chain/000000002', bytes('two')],
          ['chain/000000001', bytes('one')],
        ],
        deletes: [],
      });
      await store.close();
      const again = home.store();
      expect((await again.open()).size).toBe(0);
      expect(await again.archivedKeys()).toEqual(['chain/000000001', 'chain/000000002']);
      await again.commit({ puts: [], deletes: ['chain/000000001', 'chain/000000007'] });
      expect(await again.archivedKeys()).toEqual(['chain/000000002']);
      expect(await again.archived('chain/000000001')).toBeNull();
      await again.close();
    });

    test('a rotation keeps every record', async () => {
      const home = makeHome();
      const store = home.store();
      await store.open();
      await store.commit({
        puts: [
          ['a', bytes('1')],
          ['b', bytes('2')],
        ],
        deletes: [],
      });
      await store.commit({ puts: [['c', bytes('3')]], deletes: ['a'] }, { rotate: true });
      await store.commit({ puts: [['d', bytes('4')]], deletes: [] });
      await store.close();
      expect(await contents(home)).toEqual({ b: inHex('2'), c: inHex('3'), d: inHex('4') });
    });

    test('within a transaction deletes come before puts', async () => {
      const home = makeHome();
      const store = home.store();
      await store.open();
      await store.commit({ puts: [['a', bytes('1')]], deletes: ['a'] });
      await store.close();
      expect(await contents(home)).toEqual({ a: inHex('1') });
    });

    test('overlapping commits take effect in order', async () => {
      const home = makeHome();
      const store = home.store();
      await store.open();
      const commits = Array.from({ length: 50 }, (_, index) =>
        store.commit(
          {
            puts: [
              ['last', bytes(`${index}`)],
              [`own-${index}`, bytes('x')],
            ],
            deletes: [`own-${index - 1}`],
          },
          { rotate: index % 20 === 19 },
        ),
      );
      await Promise.all(commits);
      await store.close();
      expect(await contents(home)).toEqual({ last: inHex('49'), 'own-49': inHex('x') });
    });

    test('the caller may go on using its bytes, and those it was given', async () => {
      const home = makeHome();
      const store = home.store();
      const opened = await store.open();
      const value = bytes('before');
      await store.commit({ puts: [['a', value]], deletes: [] });
      value.fill(0);
      await store.commit({ puts: [], deletes: [] }, { rotate: true });
      await store.close();
      expect(opened.size).toBe(0);
      const again = await home.store().open();
      expect(hex(again.get('a')!)).toBe(inHex('before'));
    });

    test('a second opener is refused until the first closes', async () => {
      const home = makeHome();
      const first = home.store();
      await first.open();
      await expect(home.store().open()).rejects.toMatchObject({ code: 'locked' });
      await first.close();
      const second = home.store();
      await second.open();
      await second.close();
    });

    test('commits are refused before open and after close', async () => {
      const store = makeHome().store();
      const transaction = { puts: [['a', bytes('1')]], deletes: [] } as const;
      await expect(store.commit(transaction)).rejects.toMatchObject({ code: 'closed' });
      await store.open();
      await store.close();
      await store.close();
      await expect(store.commit(transaction)).rejects.toMatchObject({ code: 'closed' });
    });
  });
}

async function contents(home: StoreHome): Promise<Record<string, string>> {
  const store = home.store();
  const records: [string, Uint8Array | null][] = [...(await store.open())];
  for (const key of await store.archivedKeys()) records.push([key, await store.archived(key)]);
  await store.close();
  return Object.fromEntries(records.map(([key, value]) => [key, hex(value ?? new Uint8Array())]));
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

function inHex(text: string): string {
  return hex(bytes(text));
}
