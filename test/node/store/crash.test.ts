import { expect, test } from 'vitest';
import { FileStore } from '../../../src/node/store/file-store.ts';
import type { StoreTransaction } from '../../../src/node/store/store.ts';
import { StoreError } from '../../../src/node/store/store-error.ts';
import { hex } from '../../../src/protocol/records/codec.ts';
import { drawnBytes, seededRandom } from '../../../src/simulation/world/seeded-random.ts';
import {
  type CrashKind,
  type CrashPoint,
  SimulatedCrash,
  SimulatedDisk,
} from '../../../src/simulation/world/simulated-disk.ts';

interface Step {
  readonly transaction: StoreTransaction;
  readonly rotate?: boolean;
}

const value = (text: string) => Uint8Array.from(Buffer.from(text.repeat(20)));
const put = (key: string, text: string) => [key, value(text)] as const;

/** Small and large records, public files, rotations, and enough bytes to fold the journal once by itself. */
const steps: readonly Step[] = [
  { transaction: { puts: [put('share', 'a'), put('key', 'b')], deletes: [] } },
  { transaction: { puts: [put('chain/000000001', 'public 1'), put('vote', 'c')], deletes: [] } },
  { transaction: { puts: [put('share', 'd')], deletes: ['vote'] } },
  {
    transaction: { puts: [put('chain/000000002', 'public 2'), put('share', 'e')], deletes: ['key'] },
    rotate: true,
  },
  { transaction: { puts: [put('vote', 'f'), put('large', 'g'.repeat(30))], deletes: [] } },
  { transaction: { puts: [put('share', 'h')], deletes: ['chain/000000001', 'large'] } },
  { transaction: { puts: [], deletes: ['vote'] }, rotate: true },
  { transaction: { puts: [put('share', 'i')], deletes: [] } },
];

/** What stands in the vault after the first n steps. */
const states: string[] = [];
for (let count = 0, records = new Map<string, Uint8Array>(); count <= steps.length; count++) {
  states.push(vaultState(records));
  const { puts, deletes } = steps[count]?.transaction ?? { puts: [], deletes: [] };
  for (const key of deletes) records.delete(key);
  records = new Map([...records, ...puts]);
}

function storeOn(disk: SimulatedDisk, random: () => number): FileStore {
  return new FileStore({
    folder: '/store',
    cipher: 'aes',
    randomBytes: (length) => drawnBytes(random, length),
    disk,
    takeLock: async () => async () => {},
    journalBytesMax: 900,
  });
}

/** Runs the steps, overlapping or one by one, until the disk crashes. Returns how many were acknowledged. */
async function run(store: FileStore, overlapping: boolean): Promise<number> {
  let acknowledged = 0;
  const commit = async ({ transaction, rotate = false }: Step) => {
    await store.commit(transaction, { rotate });
    acknowledged += 1;
  };
  try {
    await store.open();
    if (overlapping) await Promise.allSettled(steps.map(commit));
    else for (const step of steps) await commit(step);
    await store.close();
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
  return acknowledged;
}

async function countOperations(overlapping: boolean): Promise<number> {
  const random = seededRandom(0);
  const disk = new SimulatedDisk(random);
  expect(await run(storeOn(disk, random), overlapping)).toBe(steps.length);
  return disk.operations;
}

async function crashAndReopen(seed: number, point: CrashPoint, kind: CrashKind, overlapping: boolean) {
  const random = seededRandom(seed);
  const disk = new SimulatedDisk(random, point);
  const acknowledged = await run(storeOn(disk, random), overlapping);

  // The next start is hit as well, somewhere; the one after that is left alone.
  const second = disk.afterCrash(kind, { operation: Math.floor(random() * 25), when: 'inside' });
  await startAndStop(storeOn(second, random));
  const third = second.afterCrash(random() < 0.5 ? 'kill' : 'power');
  const store = storeOn(third, random);
  const records = await store.open();
  const archive = await archiveOf(store);
  await store.commit({ puts: [put('after', 'the crash')], deletes: [] });
  await store.close();
  const later = await store.open();
  await store.close();

  const what = `seed ${seed}, ${kind} ${point.when} operation ${point.operation}`;
  const possible = overlapping ? states.slice(acknowledged) : states.slice(acknowledged, acknowledged + 2);
  expect(possible, what).toContain(vaultState(records));
  expect(vaultState(later), what).toBe(vaultState(new Map([...records, put('after', 'the crash')])));
  expectPublicFiles(archive, acknowledged, what);
  const vaultFiles = [...third.files().keys()].filter((path) => path.startsWith('/store/vault/')).sort();
  const name = '/store/vault/';
  expect(vaultFiles.join(' '), what).toMatch(
    new RegExp(`^${name}journal-(\\d+) ${name}key-[ab] ${name}snapshot-\\1$`),
  );
}

async function archiveOf(store: FileStore): Promise<Map<string, Uint8Array | null>> {
  const keys = await store.archivedKeys();
  return new Map(await Promise.all(keys.map(async (key) => [key, await store.archived(key)] as const)));
}

/** A start that may crash in turn. */
async function startAndStop(store: FileStore): Promise<void> {
  try {
    await store.open();
    await store.close();
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
}

/** A public file may be one too many after a crash, never one too few, and never half a one. */
function expectPublicFiles(
  archive: ReadonlyMap<string, Uint8Array | null>,
  acknowledged: number,
  what: string,
): void {
  const everPut = new Map(steps.flatMap(({ transaction }) => [...transaction.puts]));
  for (const [key, bytes] of archive) expect(bytes && hex(bytes), what).toBe(hex(everPut.get(key)!));
  if (acknowledged >= 2 && acknowledged < 5) expect(archive.has('chain/000000001'), what).toBe(true);
  if (acknowledged >= 4) expect(archive.has('chain/000000002'), what).toBe(true);
  if (acknowledged >= 6) expect(archive.has('chain/000000001'), what).toBe(false);
}

function vaultState(records: ReadonlyMap<string, Uint8Array>): string {
  const sealed = [...records].filter(([key]) => !key.startsWith('chain/'));
  return JSON.stringify(sealed.map(([key, bytes]) => `${key}=${hex(bytes)}`).sort());
}

for (const overlapping of [false, true]) {
  const how = overlapping ? 'overlapping' : 'single';
  test(`a crash at every disk operation of ${how} commits loses none that was acknowledged and halves none`, async () => {
    const operations = await countOperations(overlapping);
    let seed = 1;
    for (let operation = 0; operation < operations; operation++) {
      for (const when of ['before', 'inside', 'after'] as const) {
        for (const kind of ['kill', 'power', 'power'] as const) {
          await crashAndReopen(seed++, { operation, when }, kind, overlapping);
        }
      }
    }
  });
}

test('after the first failed write the store takes no more, and a new start has all that was acknowledged', async () => {
  const random = seededRandom(7);
  const disk = new SimulatedDisk(random);
  let full = false;
  const append = disk.append.bind(disk);
  disk.append = async (path, bytes) => {
    if (!full) return append(path, bytes);
    await append(path, bytes.subarray(0, 10));
    throw new StoreError('full', 'no space left');
  };
  const store = storeOn(disk, random);
  await store.open();
  await store.commit(steps[0]!.transaction);
  full = true;
  await expect(store.commit(steps[1]!.transaction)).rejects.toMatchObject({ code: 'full' });
  full = false;
  await expect(store.commit(steps[2]!.transaction)).rejects.toMatchObject({ code: 'failed' });
  await store.close();
  const records = await storeOn(disk, random).open();
  expect(vaultState(records)).toBe(states[1]);
});
