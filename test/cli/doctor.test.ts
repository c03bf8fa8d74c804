/** `holdfast doctor` finds what could hold an old share or show a current one, and says so when there is nothing. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHome, type Home } from '../../src/node/home.ts';
import { inspectHome, inspectMachine } from '../../src/node/home-inspection.ts';
import { settingsText } from '../../src/node/settings.ts';

let dir = '';
let home: Home;
const write = (name: string, content = 'x') => writeFileSync(join(home.dir, name), content, { mode: 0o600 });
const codes = () => inspectHome(home).map(({ code }) => code);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-doctor-'));
  const genesis = {
    name: 'lab',
    operators: [new Uint8Array(32)],
    operatorsNeeded: 1,
    threshold: 2,
    membersMax: 8,
    faultModel: 'byzantine' as const,
    absentEpochsMax: 100,
    nonce: new Uint8Array(16),
  };
  home = createHome(join(dir, 'a'), {
    settings: settingsText({ name: 'a' }),
    invitation: { genesis, lobby: ['/ip4/127.0.0.1/tcp/4100/p2p/x'] },
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

test('a file that others can read is found', () => {
  chmodSync(join(home.storeDir, 'vault/snapshot-3'), 0o644);
  expect(codes()).toEqual(['permissions']);
});

test('a wrong setting is named with its line', () => {
  write('settings.yaml', 'name: a\ngate: 1.5\n');
  const [problem] = inspectHome(home);
  expect(problem?.what).toMatch(/^settings\.yaml:2: gate /);
});

test('swap on a disk and core dumps are named; neither on a machine without them', () => {
  const proc = join(dir, 'proc');
  mkdirSync(join(proc, '7'), { recursive: true });
  writeFileSync(join(proc, 'swaps'), 'Filename Type Size Used Priority\n');
  writeFileSync(
    join(proc, '7/limits'),
    'Limit Soft Limit Hard Limit Units\nMax core file size        0        unlimited    bytes\n',
  );
  expect(inspectMachine(7, proc)).toEqual([]);
  writeFileSync(join(proc, 'swaps'), 'Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n');
  writeFileSync(
    join(proc, '7/limits'),
    'Limit Soft Limit Hard Limit Units\nMax core file size        unlimited        unlimited    bytes\n',
  );
  expect(inspectMachine(7, proc).map(({ code }) => code)).toEqual(['swap', 'core-dumps']);
});
