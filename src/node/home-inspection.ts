/**
 * What `holdfast doctor` looks for in a home and on its machine: anything that could hold an old share, or show a current
 * one to others. It reads names, modes and sizes, never a secret, and changes nothing.
 */
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Home } from './home.ts';
import { SettingsError } from './settings.ts';
import type { Problem } from './view.ts';

const knownFiles = new Set([
  'settings.yaml',
  'invitation',
  'identity',
  'lobby-identity',
  'first-epoch-key',
  'store',
  'clients',
  'operator.key',
  'seen-chain',
  'api.sock',
]);
const knownStoreFiles = new Set(['vault', 'chain', 'lock']);

const list = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);

/** Everything that is wrong with the home; empty when nothing is. */
export function inspectHome(home: Home): Problem[] {
  return [...settingsProblems(home), ...modeProblems(home.dir), ...strangers(home), ...vaultProblems(home)];
}

function settingsProblems(home: Home): Problem[] {
  try {
    home.readSettings();
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return [
      {
        code: 'settings',
        what: error.message,
        remedy: 'Correct the setting; the daemon will not start before.',
      },
    ];
  }
}

/** Files and folders that others than the owner could read or change. */
function modeProblems(dir: string): Problem[] {
  const problems: Problem[] = [];
  const visit = (path: string): void => {
    const { mode } = lstatSync(path);
    if (lstatSync(path).isSymbolicLink()) return;
    if ((mode & 0o077) !== 0)
      problems.push({
        code: 'permissions',
        what: `${path} can be reached by others.`,
        remedy: `chmod go= ${path}`,
      });
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
  };
  visit(dir);
  return problems;
}

/** Files that no part of Holdfast made: a copied store holds old shares. */
function strangers(home: Home): Problem[] {
  const found = [
    ...list(home.dir)
      .filter((name) => !knownFiles.has(name))
      .map((name) => join(home.dir, name)),
    ...list(home.storeDir)
      .filter((name) => !knownStoreFiles.has(name))
      .map((name) => join(home.storeDir, name)),
  ];
  return found.map((path) => ({
    code: 'unknown-file',
    what: `${path} is not Holdfast's; a copy of a store may hold an old share.`,
    remedy:
      'Remove it. Never back up or restore a store: a peer that lost its share gets it again by itself.',
  }));
}

/** The vault has one generation: one key slot, one snapshot, one journal. Anything more is an older one that survived. */
function vaultProblems(home: Home): Problem[] {
  const names = list(join(home.storeDir, 'vault'));
  const generations = new Set(names.flatMap((name) => /^(?:snapshot|journal)-(\d+)$/.exec(name)?.[1] ?? []));
  const slots = names.filter((name) => name === 'key-a' || name === 'key-b');
  const others = names.filter((name) => !/^(?:snapshot-\d+|journal-\d+|key-[ab])$/.test(name));
  if (generations.size <= 1 && slots.length <= 1 && others.length === 0) return [];
  return [
    {
      code: 'old-records',
      what: `The vault holds more than one generation of records (${names.sort().join(', ')}).`,
      remedy: 'If the daemon is not just writing: start it again, which erases what is old.',
    },
  ];
}

/** Where the machine could write a share to a disk in the clear: swap, and core dumps of the daemon `pid`. */
export function inspectMachine(pid: number | null, proc = '/proc'): Problem[] {
  const problems: Problem[] = [];
  const read = (path: string): string => {
    try {
      return readFileSync(join(proc, path), 'utf8');
    } catch {
      return ''; // not Linux, or not allowed: nothing can be said
    }
  };
  const swaps = read('swaps').split('\n').slice(1).filter(Boolean);
  if (swaps.some((line) => !/\/dev\/(?:zram|dm-)/.test(line)))
    problems.push({
      code: 'swap',
      what: 'This machine swaps to a disk, which could keep a share in the clear.',
      remedy: 'swapoff -a, or use encrypted swap.',
    });
  const core = /^Max core file size\s+(\S+)/m.exec(read(`${pid ?? 'self'}/limits`))?.[1];
  if (core !== undefined && core !== '0')
    problems.push({
      code: 'core-dumps',
      what: 'A crash of the daemon could write its memory to a core file.',
      remedy: 'Start it with: ulimit -c 0 (systemd: LimitCORE=0).',
    });
  return problems;
}
