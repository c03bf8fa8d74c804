/**
 * A peer's home: the one folder that holds all of it, for its owner's eyes only (folder 0700, files 0600).
 *
 *     settings.yaml       what the owner may edit
 *     invitation          the cluster's genesis, pinned, and the lobby to ask for admission
 *     identity            libp2p key of the main node (protobuf)
 *     lobby-identity      libp2p key of the lobby
 *     admission           the operators' order that admitted this peer, unless it was there at the founding
 *     first-epoch-key     seed of the first epoch key, until the daemon has it in its store
 *     store/              the sealed store
 *     audit/              what this peer did, and for whom, as hash-chained lines
 *     clients/NAME.key    client keys, each sealed with a passphrase unless it was made open
 *     operator.key        the operator's key, sealed with a passphrase (of the first peer, unless kept elsewhere)
 *     seen-chain          newest value that the operator's commands have checked
 *     api.sock            where the daemon answers while it runs
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CodedError } from '../../crypto/errors.ts';
import { ed25519FromSeed } from '../../crypto/signature.ts';
import { type Invitation, invitationText, parseInvitation } from '../../protocol/records/admission.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import { clusterIdOf, type Genesis } from '../../protocol/records/genesis.ts';
import { readSettings, type Settings } from '../settings.ts';
import { isRunning } from '../store/lock.ts';
import { identityFromBytes } from './identity.ts';

type HomeErrorCode =
  /** There is no such folder. */
  | 'missing'
  /** A folder without (all of) a peer's files. */
  | 'not-a-home'
  /** There is no such file. */
  | 'no-file'
  /** Others could read or change it. */
  | 'permissions'
  /** Something is there already. */
  | 'exists'
  /** No socket can be there. */
  | 'path-too-long'
  | 'unreadable';

export class HomeError extends CodedError<HomeErrorCode> {
  override readonly name = 'HomeError';
}

export interface Home {
  readonly dir: string;
  readonly settingsFile: string;
  readonly storeDir: string;
  readonly auditDir: string;
  readonly socketFile: string;
  readonly clientsDir: string;
  readonly operatorFile: string;
  readonly seenChainFile: string;
  readonly admissionFile: string;
  readonly invitation: Invitation;
  readonly genesis: Genesis;
  /** The cluster id, 32 bytes. */
  readonly cluster: Uint8Array;
  readSettings(): Settings;
  /** libp2p private key, protobuf. Secret. */
  readIdentity(): Uint8Array;
  /** libp2p private key of the lobby, protobuf. Secret. */
  readLobbyIdentity(): Uint8Array;
  /** 32-byte Ed25519 seed, secret; null once the daemon has taken it over into its store. */
  readFirstEpochSeed(): Uint8Array | null;
  /** Overwrites and removes the first epoch key: call when the store holds it. */
  eraseFirstEpochSeed(): void;
}

/** The names of all that lies in a home. */
export const files = {
  settings: 'settings.yaml',
  invitation: 'invitation',
  identity: 'identity',
  lobbyIdentity: 'lobby-identity',
  admission: 'admission',
  firstEpochSeed: 'first-epoch-key',
  store: 'store',
  audit: 'audit',
  clients: 'clients',
  operator: 'operator.key',
  seenChain: 'seen-chain',
  socket: 'api.sock',
} as const;

/**
 * Makes a new home. Throws `HomeError('exists')` when the folder holds anything. The settings come last: without
 * them a folder is no home, so a half-made one is never taken for one.
 */
export function createHome(
  dir: string,
  contents: {
    settings: string;
    invitation: Invitation;
    identity: Uint8Array;
    lobbyIdentity: Uint8Array;
    firstEpochSeed: Uint8Array;
  },
): Home {
  checkFree(dir);
  makeFolder(dir);
  checkPrivate(dir, dir);
  mkdirSync(join(dir, files.clients), { mode: 0o700 });
  writePrivateFile(join(dir, files.invitation), `${invitationText(contents.invitation)}\n`);
  writePrivateFile(join(dir, files.identity), contents.identity);
  writePrivateFile(join(dir, files.lobbyIdentity), contents.lobbyIdentity);
  writePrivateFile(join(dir, files.firstEpochSeed), contents.firstEpochSeed);
  writePrivateFile(join(dir, files.settings), contents.settings);
  return openHome(dir);
}

/**
 * Makes a folder for its owner only, and those above it that are missing, one after the other: Node's recursive `mkdir`
 * never ends where the system takes no folder (`/proc`). Throws `HomeError('unreadable')`.
 */
export function makeFolder(dir: string): void {
  if (existsSync(dir)) return;
  const above = dirname(dir);
  if (above !== dir) makeFolder(above);
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new HomeError('unreadable', `the folder ${dir} cannot be made: ${unmakeable[code] ?? code}`);
  }
}

const unmakeable: Readonly<Record<string, string>> = {
  ENOENT: 'the system takes no folder there',
  ENOTDIR: 'what is above it is no folder',
  ENAMETOOLONG: 'its name is too long',
  EACCES: 'you may not write there',
  EROFS: 'nothing can be written there',
  ENOSPC: 'the disk is full',
};

/** Throws `HomeError` unless a home can be made at `dir`: `exists`, `path-too-long`. */
export function checkFree(dir: string): void {
  checkSocketPath(join(resolve(dir), files.socket));
  if (existsSync(dir) && (!statSync(dir).isDirectory() || readdirSync(dir).length > 0))
    throw new HomeError('exists', `${dir} exists already and is not empty`);
}

/** The kernel's bound for a socket's path (`sun_path`), with the smallest of the supported systems. */
const socketPathBytesMax = 103;

/** Throws `HomeError('path-too-long')` where no daemon can listen, nor be asked. */
export function checkSocketPath(socketFile: string): void {
  const over = Buffer.byteLength(socketFile) - socketPathBytesMax;
  if (over > 0)
    throw new HomeError(
      'path-too-long',
      `the path ${socketFile} is ${over} ${over === 1 ? 'byte' : 'bytes'} too long for a socket; use a home with a shorter path`,
    );
}

/** Opens a peer's home. Throws `HomeError`. */
export function openHome(dir: string): Home {
  const path = resolve(dir);
  if (!existsSync(path)) throw new HomeError('missing', `there is no home at ${dir}`);
  const file = (name: string): string => join(path, name);
  for (const needed of [files.settings, files.invitation, files.identity])
    if (!existsSync(file(needed)))
      throw new HomeError('not-a-home', `${dir} is not a peer's home: it has no ${needed}`);
  checkPrivate(path, dir);
  const read = (name: string): Uint8Array => readPrivateFile(file(name));
  /** What `use` can make something of. */
  const whole = (name: string, use: (bytes: Uint8Array) => unknown): Uint8Array => {
    const bytes = read(name);
    try {
      use(bytes);
    } catch {
      throw new HomeError('unreadable', `${file(name)} is damaged; join again with a new home`);
    }
    return bytes;
  };
  let invitation: Invitation;
  try {
    invitation = parseInvitation(Buffer.from(read(files.invitation)).toString('utf8'));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new HomeError('unreadable', `${file(files.invitation)} is damaged`);
  }
  return {
    dir: path,
    settingsFile: file(files.settings),
    storeDir: file(files.store),
    auditDir: file(files.audit),
    socketFile: file(files.socket),
    clientsDir: file(files.clients),
    operatorFile: file(files.operator),
    seenChainFile: file(files.seenChain),
    admissionFile: file(files.admission),
    invitation,
    genesis: invitation.genesis,
    cluster: clusterIdOf(invitation.genesis),
    readSettings: () => readSettings(file(files.settings)),
    readIdentity: () => whole(files.identity, identityFromBytes),
    readLobbyIdentity: () => whole(files.lobbyIdentity, identityFromBytes),
    readFirstEpochSeed: () =>
      existsSync(file(files.firstEpochSeed)) ? whole(files.firstEpochSeed, ed25519FromSeed) : null,
    eraseFirstEpochSeed: () => erase(file(files.firstEpochSeed)),
  };
}

/** Writes a new file that only its owner can read, durably. Throws `HomeError('exists')` when it is there already. */
export function writePrivateFile(path: string, content: string | Uint8Array): void {
  let handle: number;
  try {
    handle = openSync(path, 'wx', 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') throw new HomeError('exists', `${path} exists already`);
    throw new HomeError('unreadable', `${path} cannot be written (${code})`);
  }
  writeAndClose(handle, typeof content === 'string' ? Buffer.from(content) : content);
  syncFolder(dirname(path));
}

/**
 * Replaces a private file at once: a reader sees the old content or the new. Two commands that replace it at
 * the same time have a temporary file each; what one that was killed left behind is removed.
 */
export function replacePrivateFile(path: string, content: Uint8Array): void {
  const dir = dirname(path);
  const left = `${basename(path)}.new-`;
  for (const name of readdirSync(dir)) {
    const pid = name.startsWith(left) ? Number(name.slice(left.length)) : Number.NaN;
    if (pid > 0 && pid !== process.pid && !isRunning(pid)) rmSync(join(dir, name), { force: true });
  }
  const temporary = join(dir, `${left}${process.pid}`);
  rmSync(temporary, { force: true });
  writePrivateFile(temporary, content);
  renameSync(temporary, path);
  syncFolder(dir);
}

/** A new name in a folder is on the disk only when the folder is. */
function syncFolder(dir: string): void {
  const handle = openSync(dir, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Reads a file that only its owner may read. Throws `HomeError`: `no-file`, `permissions`, `unreadable`. */
export function readPrivateFile(path: string): Uint8Array {
  if (!existsSync(path)) throw new HomeError('no-file', `there is no file ${path}`);
  checkPrivate(path, path);
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    throw new HomeError('unreadable', `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function writeAndClose(handle: number, bytes: Uint8Array): void {
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(handle, bytes, written);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function erase(path: string): void {
  if (!existsSync(path)) return;
  writeAndClose(openSync(path, 'r+'), new Uint8Array(statSync(path).size));
  rmSync(path);
}

function checkPrivate(path: string, shown: string): void {
  const { mode } = statSync(path);
  if ((mode & 0o077) !== 0)
    throw new HomeError(
      'permissions',
      `others on this machine may read ${shown}; run: chmod -R go= ${shown}`,
    );
}
