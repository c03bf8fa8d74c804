/**
 * Searches for records that must be gone. While a group works, it gathers pieces of the sealed files and the
 * store keys of all homes. At the end it searches every file of every home for pieces of generations that are
 * over (src/node/store/README.md).
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { readSlot, slotNames } from '../node/store/key-slot.ts';
import { generationOf } from '../node/store/vault.ts';

const pieceBytes = 32;
/** One piece is gathered from each stretch of this many bytes of a sealed file. */
const strideBytes = 256;

/** Where a piece was seen: the home's folder, and the generation of its vault. */
interface Origin {
  home: string;
  generation: number;
}

interface Remain extends Origin {
  /** The file that still holds the piece. */
  path: string;
}

/** Gathers pieces, and searches for them. It holds secrets of a lab, and nothing of a real group. */
export class Remains {
  /** Keys are the piece's bytes as latin1. */
  readonly #pieces = new Map<string, Origin>();
  /** 1 at the first three bytes of every piece. So a search looks up only few places of a file. */
  readonly #beginnings = new Uint8Array(2 ** 24);
  /** How many bytes of a sealed file were read, by its path. */
  readonly #read = new Map<string, number>();

  /** How many pieces were gathered. */
  get pieces(): number {
    return this.#pieces.size;
  }

  /** Gathers pieces of everything that was written since the last call. The home may be in use. */
  gather(home: string): void {
    const vault = vaultOf(home);
    for (const name of namesIn(vault)) {
      const path = join(vault, name);
      const generation = generationOf(name);
      if (generation !== null) this.#gatherSealed(path, { home, generation });
      else if (slotNames.some((slot) => name.startsWith(slot))) this.#gatherKey(path, home);
    }
  }

  /** The newest generation of the home's vault. Null while an older one is being erased beside it. */
  static currentGeneration(home: string): number | null {
    const generations = new Set(namesIn(vaultOf(home)).flatMap((name) => generationOf(name) ?? []));
    const [only] = generations;
    return generations.size === 1 && only !== undefined ? only : null;
  }

  /**
   * Whether a rotation of the store, or the write of a value, has begun and not ended. The home's daemon must
   * be dead.
   */
  static unfinished(home: string): boolean {
    const names = [...namesIn(vaultOf(home)), ...namesIn(join(home, 'store', 'chain'))];
    return Remains.currentGeneration(home) === null || names.some((name) => name.endsWith('.new'));
  }

  /**
   * Every piece of an older generation that a file below `folders` still holds.
   * @param current the current generation of each home, by the home's folder
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

  /** How many generations of the home are over. Only generations with gathered pieces count. */
  olderGenerations(home: string, current: number): number {
    const seen = [...this.#pieces.values()].filter((origin) => origin.home === home);
    return new Set(seen.map(({ generation }) => generation).filter((one) => one < current)).size;
  }

  #gatherSealed(path: string, origin: Origin): void {
    const from = this.#read.get(path) ?? 0;
    const content = contentOf(path, from);
    const whole = content.length - (content.length % strideBytes);
    // A file that is shorter than a stride gives one piece. A longer file gives the rest when it has grown.
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
    // A piece of a file that is being erased is mostly zeros, and is left out. The first frame of a file
    // begins with about eight zeros of its own.
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

/** The content of a file from an offset on. Empty when the file is gone. */
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
