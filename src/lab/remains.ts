/**
 * Looks for what should be gone: gathers pieces of the sealed files and the store keys of homes while a group
 * works, and at the end searches every file of every home for pieces of generations that are over
 * (src/node/store/README.md).
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { readSlot, slotNames } from '../node/store/key-slot.ts';
import { generationOf } from '../node/store/vault.ts';

const pieceBytes = 32;
/** One piece from each so many bytes of a sealed file. */
const strideBytes = 256;

/** Where a piece was seen: the home's folder, and the generation of its vault. */
interface Origin {
  home: string;
  generation: number;
}

interface Remain extends Origin {
  /** The file that still holds it. */
  path: string;
}

export class Remains {
  /** By the piece's bytes, as latin1. */
  readonly #pieces = new Map<string, Origin>();
  /** Which first three bytes any piece has, so that a search looks up few of the places in a file. */
  readonly #beginnings = new Uint8Array(2 ** 24);
  /** How far a sealed file has been read, by its path. */
  readonly #read = new Map<string, number>();

  get pieces(): number {
    return this.#pieces.size;
  }

  /** Gathers what has been written since the last call. The home may be in use. */
  gather(home: string): void {
    const vault = vaultOf(home);
    for (const name of namesIn(vault)) {
      const path = join(vault, name);
      const generation = generationOf(name);
      if (generation !== null) this.#gatherSealed(path, { home, generation });
      else if (slotNames.some((slot) => name.startsWith(slot))) this.#gatherKey(path, home);
    }
  }

  /** The newest generation of the home's vault, or null while an older one is just being erased beside it. */
  static currentGeneration(home: string): number | null {
    const generations = new Set(namesIn(vaultOf(home)).flatMap((name) => generationOf(name) ?? []));
    const [only] = generations;
    return generations.size === 1 && only !== undefined ? only : null;
  }

  /** Whether a rotation or the writing of a value has been begun and not finished: of a home whose daemon is dead. */
  static unfinished(home: string): boolean {
    const names = [...namesIn(vaultOf(home)), ...namesIn(join(home, 'store', 'chain'))];
    return Remains.currentGeneration(home) === null || names.some((name) => name.endsWith('.new'));
  }

  /**
   * Every piece of an older generation that a file below `folders` still holds.
   * @param current the generation of each home that is not over, by the home's folder
   */
  search(folders: readonly string[], current: ReadonlyMap<string, number>): Remain[] {
    return folders
      .flatMap((folder) => filesBelow(folder))
      .flatMap((path) =>
        this.#piecesIn(contentOf(path))
          .filter(({ home, generation }) => generation < (current.get(home) ?? 0))
          .map((origin) => ({ ...origin, path })),
      );
  }

  /** How many generations of the home are over, by what was gathered. */
  olderGenerations(home: string, current: number): number {
    const seen = [...this.#pieces.values()].filter((origin) => origin.home === home);
    return new Set(seen.map(({ generation }) => generation).filter((one) => one < current)).size;
  }

  #gatherSealed(path: string, origin: Origin): void {
    const from = this.#read.get(path) ?? 0;
    const content = contentOf(path, from);
    const whole = content.length - (content.length % strideBytes);
    // A file shorter than a stride has one piece all the same; a longer one gives the rest when it has grown.
    const end = from === 0 && whole === 0 ? content.length : whole;
    for (let at = 0; at + pieceBytes <= end; at += strideBytes)
      this.#add(content.subarray(at, at + pieceBytes), origin);
    this.#read.set(path, from + whole);
  }

  #gatherKey(path: string, home: string): void {
    const slot = readSlot(contentOf(path));
    if (slot !== undefined) this.#add(slot.storeKey, { home, generation: slot.number });
  }

  #add(piece: Uint8Array, origin: Origin): void {
    // What is being erased this very moment shows zeros; the first frame of a file begins with some eight of its own.
    if (piece.filter((byte) => byte === 0).length > pieceBytes / 2) return;
    this.#pieces.set(Buffer.from(piece).toString('latin1'), origin);
    this.#beginnings[beginningAt(piece, 0)] = 1;
  }

  #piecesIn(content: Buffer): Origin[] {
    const found: Origin[] = [];
    for (let at = 0; at + pieceBytes <= content.length; at += 1) {
      if (this.#beginnings[beginningAt(content, at)] === 0) continue;
      const origin = this.#pieces.get(content.toString('latin1', at, at + pieceBytes));
      if (origin !== undefined) found.push(origin);
    }
    return found;
  }
}

const vaultOf = (home: string): string => join(home, 'store', 'vault');

const beginningAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** What a file holds from an offset on: nothing when it is gone by now. */
function contentOf(path: string, from = 0): Buffer {
  try {
    const file = openSync(path, 'r');
    try {
      const content = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
      return content.subarray(0, readSync(file, content, 0, content.length, from));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw error;
  }
}
