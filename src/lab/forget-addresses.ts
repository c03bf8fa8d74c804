/** Makes a stopped peer forget where the others are: what is left to find them is multicast DNS. */
import { randomBytes } from 'node:crypto';
import { openHome } from '../node/home.ts';
import { FileStore } from '../node/store/file-store.ts';

export async function forgetAddresses(dir: string): Promise<void> {
  const home = openHome(dir);
  const store = new FileStore({
    folder: home.storeDir,
    cipher: home.readSettings().cipher,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  await store.open();
  try {
    await store.commit({ puts: [], deletes: ['addresses'] });
  } finally {
    await store.close();
  }
}
