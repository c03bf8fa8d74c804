/**
 * Sealing records as a frame: short ones at once, long ones in a thread of their own. A megabyte takes a good part of a
 * second, and a peer whose event loop stands still for some of them looks dead to the others.
 */
import { Piscina } from 'piscina';
import type { CipherName } from '../../cipher/local-cipher.ts';
import { assertNumbered, type Generation, writeFrame } from './frame.ts';
import { bytesOf, type Changes, encodeRecords } from './records.ts';
import { StoreError, type StoreErrorCode } from './store-error.ts';

export interface FrameRequest {
  readonly generation: Generation;
  readonly number: number;
  readonly cipher: CipherName;
  readonly changes: Changes;
}

/** What a vault seals its frames with; one frame at a time. */
export interface Sealer {
  seal(request: FrameRequest): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What the thread answers. */
export type Sealed = { frame: Uint8Array } | { code: StoreErrorCode | null; message: string };

/** A thread that had nothing to seal for so long ends. */
const idleMs = 60_000;
/** From so many bytes of records on a thread seals them. */
const threadBytesMin = 128 * 1024;

export function sealFrame({ generation, number, cipher, changes }: FrameRequest): Uint8Array {
  const plaintext = encodeRecords(changes);
  try {
    return writeFrame(generation, number, cipher, plaintext);
  } finally {
    plaintext.fill(0);
  }
}

/** Everything in the event loop, for stores whose time is not the machine's. */
export const sealerInPlace: Sealer = {
  seal: async (request) => sealFrame(request),
  close: async () => {},
};

export class ThreadSealer implements Sealer {
  #pool: Piscina<FrameRequest, Sealed> | undefined;

  async seal(request: FrameRequest): Promise<Uint8Array> {
    if (bytesOf(request.changes) < threadBytesMin) return sealFrame(request);
    const sealed = await this.#ask(request);
    if (sealed !== undefined && 'frame' in sealed) assertNumbered(sealed.frame, request.number);
    // Without a thread (the machine has no room for one) it takes the event loop's time, and is sealed all the same.
    if (sealed === undefined) return sealFrame(request);
    if ('frame' in sealed) return sealed.frame;
    throw sealed.code === null ? new Error(sealed.message) : new StoreError(sealed.code, sealed.message);
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.destroy();
  }

  /**
   * `undefined`: there is no thread, or it died over the request. An answer belongs to its own request,
   * whatever died before.
   */
  async #ask(request: FrameRequest): Promise<Sealed | undefined> {
    const name = import.meta.url.endsWith('.ts') ? './sealing-thread.ts' : './sealing-thread.js';
    try {
      this.#pool ??= new Piscina({
        filename: new URL(name, import.meta.url).href,
        minThreads: 0,
        maxThreads: 1,
        idleTimeout: idleMs,
      });
      return await this.#pool.run(request);
    } catch {
      return undefined;
    }
  }
}
