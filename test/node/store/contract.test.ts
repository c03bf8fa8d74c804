import { randomBytes } from 'node:crypto';
import { cipherNames } from '../../../src/cipher/local-cipher.ts';
import { FileStore } from '../../../src/node/store/file-store.ts';
import type { TakeLock } from '../../../src/node/store/lock.ts';
import { StoreError } from '../../../src/node/store/store-error.ts';
import { MemoryHome, MemoryStore } from '../../../src/simulation/world/memory-store.ts';
import { seededRandom } from '../../../src/simulation/world/seeded-random.ts';
import { SimulatedDisk } from '../../../src/simulation/world/simulated-disk.ts';
import { storeContract } from './store-contract.ts';
import { temporaryFolder } from './support.ts';

storeContract('the memory store', () => {
  const home = new MemoryHome();
  return { store: () => new MemoryStore(home) };
});

for (const cipher of cipherNames) {
  storeContract(`the file store with ${cipher}`, () => {
    const folder = `${temporaryFolder()}/store`;
    return { store: () => new FileStore({ folder, cipher, randomBytes: freshBytes }) };
  });
}

storeContract('the file store on a simulated disk, folding its journal all the time', () => {
  const disk = new SimulatedDisk(seededRandom(1));
  const takeLock = oneAtATime();
  const options = { folder: '/store', cipher: 'aes', randomBytes: freshBytes, disk, takeLock } as const;
  return { store: () => new FileStore({ ...options, journalBytesMax: 300 }) };
});

function freshBytes(length: number): Uint8Array {
  return Uint8Array.from(randomBytes(length));
}

function oneAtATime(): TakeLock {
  let taken = false;
  return async () => {
    if (taken) throw new StoreError('locked', 'taken');
    taken = true;
    return async () => {
      taken = false;
    };
  };
}
