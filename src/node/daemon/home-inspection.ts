/**
 * The checks of `holdfast doctor` in a home and on its machine. They look for anything that could hold an old
 * share, or show a current one to others. They read names, modes and sizes, and never a secret. They change
 * nothing. A daemon may be at work there, so a file that vanishes during the check counts as not there.
 */
import { lstatSync, readdirSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { files, type Home } from '../home/home.ts';
import { SettingsError } from '../settings.ts';
import { slotNames } from '../store/key-slot.ts';
import { generationOf } from '../store/vault.ts';
import type { Problem } from '../views/view.ts';

const knownFiles: ReadonlySet<string> = new Set(Object.values(files));
const knownStoreFiles = new Set(['vault', 'chain', 'lock']);

/** The names in a folder. None when there is no such folder. */
function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** All problems of the home. Empty when there are none. */
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

/** Files and folders that other users could read or change. */
function modeProblems(dir: string): Problem[] {
  return [
    ...wideFiles(dir).map((path) => ({
      code: 'permissions',
      what: `${path} can be reached by others.`,
      remedy: `chmod go= ${path}`,
    })),
    ...foreignFiles(dir).map((path) => ({
      code: 'owner',
      what: `${path} belongs to another user, who can read and change it.`,
      remedy: `Look what it is; if it is this peer's: chown $(id -u) ${path}`,
    })),
  ];
}

/** The paths in `dir`, itself included, whose mode gives other users access. */
export const wideFiles = (dir: string): string[] =>
  [...filesIn(dir)].flatMap(({ path, mode }) => ((mode & 0o077) === 0 ? [] : [path]));

/**
 * The paths in `dir`, itself included, that belong to another user. Root's are not counted, because root can
 * read everything anyway.
 */
export function foreignFiles(dir: string, self = process.getuid?.() ?? 0): string[] {
  // Root may look at another user's home.
  const owner = self === 0 ? statSync(dir, { throwIfNoEntry: false })?.uid : self;
  return [...filesIn(dir)].flatMap(({ path, uid }) => (uid === owner || uid === 0 ? [] : [path]));
}

/**
 * All files in `dir`, itself first. A link stands for its target, under the target's true path. The content
 * of a linked folder is left out when others can reach the folder or own it. It may be half the machine, and
 * one finding is enough.
 */
function* filesIn(dir: string, seen = new Set<string>()): Generator<Stats & { path: string }> {
  const link = lstatSync(dir, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  const path = link ? targetOf(dir) : dir;
  const found = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
  if (path === null || found === undefined) return;
  const id = `${found.dev}:${found.ino}`;
  if (found.isDirectory() && seen.has(id)) return; // The links form a circle.
  seen.add(id);
  yield Object.assign(found, { path });
  const isClosed = (found.mode & 0o077) === 0 && found.uid === process.getuid?.();
  if (!found.isDirectory() || (link && !isClosed)) return;
  for (const name of list(path)) yield* filesIn(join(path, name), seen);
}

/**
 * The target of a link. Null for a link that leads nowhere, in a circle, or to a place that this process may
 * not read.
 */
function targetOf(link: string): string | null {
  try {
    return realpathSync(link);
  } catch {
    return null;
  }
}

/** Files that no part of Holdfast made. A copied store holds old shares. */
function strangers(home: Home): Problem[] {
  const named = filesOfSettings(home);
  const found = [
    ...list(home.dir)
      .filter((name) => !knownFiles.has(name))
      .map((name) => join(home.dir, name))
      .filter((path) => !named.has(path)),
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

/**
 * The paths of the files that the settings name. None when the settings cannot be read: that is a finding of
 * its own.
 */
function filesOfSettings(home: Home): ReadonlySet<string> {
  try {
    const { apiCertificate, apiCertificateKey } = home.readSettings();
    const named = [apiCertificate, apiCertificateKey].flatMap((file) => file ?? []);
    return new Set(named.map((file) => resolve(home.dir, file)));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return new Set();
  }
}

/**
 * The vault has one generation: one key slot, one snapshot, one journal. Any further file belongs to an older
 * one.
 */
function vaultProblems(home: Home): Problem[] {
  const names = list(join(home.storeDir, 'vault'));
  const generations = new Set(names.flatMap((name) => generationOf(name) ?? []));
  const isSlot = (name: string): boolean => slotNames.some((slot) => slot === name);
  const slots = names.filter(isSlot);
  const others = names.filter((name) => !isSlot(name) && generationOf(name) === null);
  if (generations.size <= 1 && slots.length <= 1 && others.length === 0) return [];
  return [
    {
      code: 'old-records',
      what: `The vault holds more than one generation of records (${names.sort().join(', ')}).`,
      remedy: 'If the daemon is not just writing: start it again, which erases what is old.',
    },
  ];
}

/**
 * The ways in which the machine could write a share to a disk in the clear: swap, and core dumps of the
 * daemon `pid`. Without a running daemon, `pid` is this process: a daemon that is started here has the same
 * limits.
 */
export function inspectMachine(pid: number, { proc = '/proc', sys = '/sys' } = {}): Problem[] {
  const problems = swapProblems({ proc, sys });
  if (dumpsMemory(pid, proc))
    problems.push({
      code: 'core-dumps',
      what: 'A crash of the daemon could write its memory to a core file.',
      remedy: 'Start it again with: ulimit -c 0 (systemd: LimitCORE=0).',
    });
  return problems;
}

/** The swap devices that could hold memory in the clear. */
export function swapProblems({ proc = '/proc', sys = '/sys' } = {}): Problem[] {
  const swaps = read(join(proc, 'swaps'))
    .split('\n')
    .slice(1)
    .flatMap((line) => line.split(/\s+/)[0] || []);
  if (swaps.every((device) => staysInMemoryOrIsEncrypted(device, sys))) return [];
  return [
    {
      code: 'swap',
      what: 'This machine swaps to a disk, which could keep a share or a key in the clear.',
      remedy: 'swapoff -a, or use encrypted swap (systemd: MemorySwapMax=0).',
    },
  ];
}

/** Whether the device is compressed memory, or device-mapper encrypts it. */
function staysInMemoryOrIsEncrypted(device: string, sys: string): boolean {
  const name = device.replace('/dev/', '');
  return name.startsWith('zram') || read(join(sys, 'block', name, 'dm', 'uuid')).startsWith('CRYPT-');
}

/**
 * core(5): a filter of 0 leaves all memory out of a dump. A limit of 0 stops core files, and not programs
 * that cores are piped to.
 */
function dumpsMemory(pid: number, proc: string): boolean {
  const filter = read(join(proc, String(pid), 'coredump_filter')).trim();
  if (/^0+$/.test(filter)) return false;
  const limit = /^Max core file size\s+(\S+)/m.exec(read(join(proc, String(pid), 'limits')))?.[1];
  const piped = read(join(proc, 'sys/kernel/core_pattern')).startsWith('|');
  return limit !== undefined && (limit !== '0' || piped);
}

/**
 * The content of a file. Empty when there is no such file, or this process may not read it: then it shows
 * nothing.
 */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
