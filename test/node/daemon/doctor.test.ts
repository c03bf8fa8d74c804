/** `holdfast doctor` finds what could hold an old share or show a current one, and says so when there is nothing. */
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  foreignFiles,
  inspectHome,
  inspectMachine,
  wideFiles,
} from '../../../src/node/daemon/home-inspection.ts';
import { createHome, type Home } from '../../../src/node/home/home.ts';
import { settingsText } from '../../../src/node/settings.ts';
import type { Genesis } from '../../../src/protocol/records/genesis.ts';

/** A folder that the daemon removes after it was listed, just before it is read. */
const vanishing = vi.hoisted(() => ({ folder: '' }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const readdirSync = (path: string) => {
    if (path === vanishing.folder) fs.rmSync(path, { recursive: true });
    return fs.readdirSync(path);
  };
  return { ...fs, readdirSync };
});

let dir = '';
let home: Home;
const write = (name: string, content = 'x') => writeFileSync(join(home.dir, name), content, { mode: 0o600 });
const codes = () => inspectHome(home).map(({ code }) => code);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-doctor-'));
  const genesis: Genesis = {
    v: 1,
    name: 'lab',
    operators: [new Uint8Array(32)],
    operatorsNeeded: 1,
    threshold: 2,
    membersMax: 8,
    faultModel: 'byzantine',
    absentEpochsMax: 100,
    nonce: new Uint8Array(16),
  };
  home = createHome(join(dir, 'a'), {
    settings: settingsText({ name: 'a' }),
    invitation: { v: 1, genesis, lobby: ['/ip4/127.0.0.1/tcp/4100/p2p/x'] },
    identity: new Uint8Array(8),
    lobbyIdentity: new Uint8Array(8),
    firstEpochSeed: new Uint8Array(32),
  });
  mkdirSync(join(home.storeDir, 'vault'), { recursive: true, mode: 0o700 });
  for (const name of ['key-a', 'snapshot-3', 'journal-3']) write(join('store/vault', name));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('a home in order has no finding', () => {
  expect(inspectHome(home)).toEqual([]);
});

test('what vanishes while a home in use is looked at is no finding, and no failure', () => {
  vanishing.folder = join(home.storeDir, 'vault');
  expect(inspectHome(home)).toEqual([]);
  expect(statSync(vanishing.folder, { throwIfNoEntry: false })).toBeUndefined();
});

test('an older generation of the vault is found', () => {
  write('store/vault/snapshot-2');
  expect(codes()).toEqual(['old-records']);
});

test('a second key slot is found', () => {
  write('store/vault/key-b');
  expect(codes()).toEqual(['old-records']);
});

test('a copy of the store is found', () => {
  cpSync(home.storeDir, join(home.dir, 'store.bak'), { recursive: true, mode: 0 });
  expect(codes()).toContain('unknown-file');
});

test('the certificate and key that the settings name are known; others are not', () => {
  write(
    'settings.yaml',
    'name: a\napiListen: 127.0.0.1:4180\napiCertificate: api.crt\napiCertificateKey: ./api.key\n',
  );
  for (const name of ['api.crt', 'api.key']) write(name);
  expect(codes()).toEqual([]);
  write('old.key');
  expect(codes()).toEqual(['unknown-file']);
});

test('a file that others can read is found', () => {
  chmodSync(join(home.storeDir, 'vault/snapshot-3'), 0o644);
  expect(codes()).toEqual(['permissions']);
});

test('a wrong setting is named with its line', () => {
  write('settings.yaml', 'name: a\ngate: 1.5\n');
  const [problem] = inspectHome(home);
  expect(problem?.what).toMatch(/^settings\.yaml:2: gate /);
});

/** A machine's /proc and /sys, and what is wrong with it for the daemon 7. */
function machine(files: Record<string, string>): string[] {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return inspectMachine(7, { proc: join(dir, 'proc'), sys: join(dir, 'sys') }).map(({ code }) => code);
}
const swap = (device: string) => ({
  'proc/swaps': `Filename Type Size Used Priority\n${device} partition 1 0 -2\n`,
});
const core = (limit: string) => ({
  'proc/7/limits': `Limit Soft Limit Hard Limit Units\nMax core file size        ${limit}        unlimited    bytes\n`,
});

test('swap on a disk is named; encrypted or in memory it is not, and not on a machine without', () => {
  expect(machine({ 'proc/swaps': 'Filename Type Size Used Priority\n' })).toEqual([]);
  expect(machine(swap('/dev/sda2'))).toEqual(['swap']);
  expect(machine(swap('/dev/zram0'))).toEqual([]);
  expect(machine({ ...swap('/dev/dm-1'), 'sys/block/dm-1/dm/uuid': 'LVM-abc' })).toEqual(['swap']);
  expect(machine({ ...swap('/dev/dm-1'), 'sys/block/dm-1/dm/uuid': 'CRYPT-PLAIN-x' })).toEqual([]);
});

test('core dumps with memory are named, piped ones too; not when a limit or the filter stops them', () => {
  expect(machine(core('unlimited'))).toEqual(['core-dumps']);
  expect(machine(core('0'))).toEqual([]);
  expect(machine({ 'proc/sys/kernel/core_pattern': '|/usr/lib/apport %p' })).toEqual(['core-dumps']);
  expect(machine({ 'proc/7/coredump_filter': '00000033\n' })).toEqual(['core-dumps']);
  expect(machine({ 'proc/7/coredump_filter': '00000000\n' })).toEqual([]);
});

test('a link is judged by what it leads to: wide, closed, nothing, or itself', () => {
  const elsewhere = join(dir, 'elsewhere');
  renameSync(home.storeDir, elsewhere);
  symlinkSync(elsewhere, home.storeDir);
  symlinkSync(join(dir, 'nothing'), join(home.dir, 'invitation.old'));
  symlinkSync(join(home.dir, 'circle'), join(home.dir, 'circle'));
  symlinkSync(home.dir, join(home.clientsDir, 'up'));
  expect(wideFiles(home.dir)).toEqual([]);
  chmodSync(join(elsewhere, 'vault/snapshot-3'), 0o604);
  expect(wideFiles(home.dir)).toEqual([join(elsewhere, 'vault/snapshot-3')]);
  chmodSync(elsewhere, 0o777);
  expect(wideFiles(home.dir)).toEqual([elsewhere]); // and what is inside is mended with it
  renameSync(home.dir, join(dir, 'b'));
  symlinkSync(join(dir, 'b'), home.dir);
  expect(wideFiles(home.dir)).toEqual([elsewhere]);
});

test('what belongs to another user is found, and what is root’s is not', () => {
  const own = statSync(home.dir).uid;
  expect(foreignFiles(home.dir)).toEqual([]);
  // As another user, who finds that all is ours; where we are root, that is no finding.
  expect(foreignFiles(home.dir, own + 1)).toEqual(own === 0 ? [] : expect.arrayContaining([home.dir]));
  if (own !== 0) return;
  chownSync(join(home.storeDir, 'vault/key-a'), 1234, 1234);
  expect(foreignFiles(home.dir)).toEqual([join(home.storeDir, 'vault/key-a')]);
  expect(codes()).toEqual(['owner']);
});

test('every file that others can read is found, in whichever folder', () => {
  mkdirSync(home.auditDir, { mode: 0o700 });
  write('audit/000000000001.jsonl');
  expect(wideFiles(home.dir)).toEqual([]);
  chmodSync(join(home.auditDir, '000000000001.jsonl'), 0o640);
  chmodSync(home.storeDir, 0o711);
  expect(wideFiles(home.dir)).toEqual([join(home.auditDir, '000000000001.jsonl'), home.storeDir]);
});
