import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FileStore } from '../../../src/node/store/file-store.ts';
import { pidFileLock } from '../../../src/node/store/lock.ts';
import { temporaryFolder } from './support.ts';

const holderSource = `
  const { FileStore } = await import(${JSON.stringify(new URL('../../../src/node/store/file-store.ts', import.meta.url))});
  const { randomBytes } = await import('node:crypto');
  const store = new FileStore({ folder: process.argv[1], cipher: 'aes', randomBytes });
  await store.open();
  await store.commit({ puts: [['share', new Uint8Array([7])]], deletes: [] });
  console.log('open');
  process.stdin.resume();
`;

async function startHolder(folder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', holderSource, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout!, 'data');
  expect(String(line).trim()).toBe('open');
  return child;
}

function storeIn(folder: string): FileStore {
  return new FileStore({
    folder,
    cipher: 'aes',
    randomBytes: (length) => Uint8Array.from(randomBytes(length)),
  });
}

test('a second process is refused while the first lives, and takes over once it is killed', async () => {
  const folder = `${temporaryFolder()}/store`;
  const child = await startHolder(folder);
  await expect(storeIn(folder).open()).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringContaining(`process ${child.pid}`),
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = storeIn(folder);
  const records = await store.open();
  expect(records.get('share')).toEqual(Uint8Array.of(7));
  await store.close();
});

test('a lock of an earlier process with the same number does not count', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: process.pid, started: 'another boot 12345' }));
  const release = await pidFileLock(folder)();
  expect(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
  await release();
  expect(readdirSync(folder)).toEqual([]);
});

test('what a process left that was killed while it took the lock is cleared away; what a living one is writing stays', async () => {
  const folder = temporaryFolder();
  const dead = spawn('true');
  await once(dead, 'exit');
  writeFileSync(join(folder, `lock.${dead.pid}-0123456789ab`), '');
  const living = `lock.${process.ppid}-0123456789ab`;
  writeFileSync(join(folder, living), '');
  const release = await pidFileLock(folder)();
  expect(readdirSync(folder).sort()).toEqual(['lock', living]);
  await release();
});

test('of many that find one dead lock, exactly one takes it over', async () => {
  for (let round = 0; round < 10; round++) {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'lock'), 'cut sho');
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => pidFileLock(folder)()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'locked' });
    }
    expect(readdirSync(folder)).toEqual(['lock']);
  }
});
