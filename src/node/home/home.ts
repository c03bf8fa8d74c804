/**
 * A peer's home: the one folder that holds all of the peer, for its owner only (folders 0700, files 0600).
 *
 *     settings.yaml       the settings, which the owner may edit
 *     invitation          the cluster's genesis, pinned, and the lobby to ask for admission
 *     identity            libp2p key of the main node (protobuf)
 *     lobby-identity      libp2p key of the lobby (protobuf)
 *     admission           the operators' order that admitted this peer; a founding member has none
 *     first-epoch-key     seed of the first epoch key, until the daemon has it in its store
 *     store/              the sealed store
 *     audit/              the audit log, as hash-chained lines
 *     clients/NAME.key    client keys, each sealed with a passphrase unless its owner made it without one
 *     operator.key        the operator's key, sealed with a passphrase (first peer; it may be kept elsewhere)
 *     seen-chain          the newest value that the operator's commands have checked
 *     api.sock            the socket of the API, while the daemon runs
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
  /** The folder lacks files that every home has. */
  | 'not-a-home'
  /** There is no such file. */
  | 'no-file'
  /** Other users of the machine may read or change the file. */
  | 'permissions'
  /** The place is taken. */
  | 'exists'
  /** The path is too long for a socket. */
  | 'path-too-long'
  /** The file or folder cannot be read or made, or the file is damaged. */
  | 'unreadable'
  /** The file is whole, and of a later version than this program knows. */
  | 'other-version';

/** An error of a home. The message is for the owner, and holds no secret. */
export class HomeError extends CodedError<HomeErrorCode> {
  override readonly name = 'HomeError';
}

/** The error for a file that holds a record of a later version. */
export const ofOtherVersion = (path: string, { message }: ProtocolError): HomeError =>
  new HomeError('other-version', `${path}: ${message}`);

/**
 * An open home. Each `read…` method reads the file anew.
 * @throws HomeError `no-file`, `permissions` or `unreadable`, at each `read…` method
 */
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
  /** The libp2p private key, as protobuf. Secret. */
  readIdentity(): Uint8Array;
  /** The libp2p private key of the lobby, as protobuf. Secret. */
  readLobbyIdentity(): Uint8Array;
  /** The 32-byte Ed25519 seed of the first epoch key. Secret. Null once the daemon has it in its store. */
  readFirstEpochSeed(): Uint8Array | null;
  /** Overwrites and removes the first epoch key. The caller must have the key in its store, durably. */
  eraseFirstEpochSeed(): void;
}

/** The names of the files and folders in a home. */
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
 * Makes a new home. The settings are written last, and a folder without settings is no home. So nobody takes
 * a half-made home for a whole one.
 * @throws HomeError `exists` when the folder is not empty, `path-too-long`, `permissions`, `unreadable`
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
 * Makes a folder for its owner only, and the missing folders above it, one after the other. Node's recursive
 * `mkdir` never ends where the system refuses folders, as in `/proc`.
 * @throws HomeError `unreadable`
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

/** Checks that a home can be made at `dir`. @throws HomeError `exists` or `path-too-long` */
export function checkFree(dir: string): void {
  checkSocketPath(join(resolve(dir), files.socket));
  if (existsSync(dir) && (!statSync(dir).isDirectory() || readdirSync(dir).length > 0))
    throw new HomeError('exists', `${dir} exists already and is not empty`);
}

/**
 * The kernel's bound for the path of a socket (`sun_path`), in bytes: the smallest among the supported
 * systems.
 */
const socketPathBytesMax = 103;

/** Checks that a socket can have this path. @throws HomeError `path-too-long` */
export function checkSocketPath(socketFile: string): void {
  const over = Buffer.byteLength(socketFile) - socketPathBytesMax;
  if (over > 0)
    throw new HomeError(
      'path-too-long',
      `the path ${socketFile} is ${over} ${over === 1 ? 'byte' : 'bytes'} too long for a socket; use a home with a shorter path`,
    );
}

/**
 * Opens a peer's home.
 * @throws HomeError `missing`, `not-a-home`, `permissions`, `no-file` or `unreadable`
 */
export function openHome(dir: string): Home {
  const path = resolve(dir);
  if (!existsSync(path)) throw new HomeError('missing', `there is no home at ${dir}`);
  const file = (name: string): string => join(path, name);
  for (const needed of [files.settings, files.invitation, files.identity])
    if (!existsSync(file(needed)))
      throw new HomeError('not-a-home', `${dir} is not a peer's home: it has no ${needed}`);
  checkPrivate(path, dir);
  const read = (name: string): Uint8Array => readPrivateFile(file(name));
  /** The bytes of a file that `use` accepts without an error. */
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
    if (error.code === 'other-version') throw ofOtherVersion(file(files.invitation), error);
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

/**
 * Writes a new file that only its owner may read, durably.
 * @throws HomeError `exists` when there is such a file, `unreadable` when it cannot be written
 */
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
 * Replaces a private file in one step: a reader sees the old content or the new. Each command has its own
 * temporary file, so two commands can replace the file at the same time. Files of commands that were killed
 * are removed.
 * @throws HomeError `unreadable`
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

/** A new name in a folder is durable only when the folder is synced. */
function syncFolder(dir: string): void {
  const handle = openSync(dir, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Reads a file that only its owner may read. @throws HomeError `no-file`, `permissions` or `unreadable` */
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
