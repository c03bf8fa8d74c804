/**
 * Seals records as a frame. The event loop seals short frames, and a thread seals long ones. A megabyte takes
 * a good part of a second, and a peer whose event loop stands still for seconds looks dead to the others.
 */
import { Piscina } from 'piscina';
import type { CipherName } from '../../cipher/local-cipher.ts';
import { assertNumbered, type Generation, writeFrame } from './frame.ts';
import { bytesOf, type Changes, encodeRecords } from './records.ts';
import { StoreError, type StoreErrorCode } from './store-error.ts';

/** The frame to make: its generation and number, the local cipher, and the records in it. */
export interface FrameRequest {
  readonly generation: Generation;
  readonly number: number;
  readonly cipher: CipherName;
  readonly changes: Changes;
}

/** The part of the store that seals frames for a vault, one frame at a time. */
export interface Sealer {
  seal(request: FrameRequest): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The answer of the thread. */
export type Sealed = { frame: Uint8Array } | { code: StoreErrorCode | null; message: string };

/** A thread ends after so long without a frame to seal. */
const idleMs = 60_000;
/** Frames with at least so many bytes of records go to the thread. */
const threadBytesMin = 128 * 1024;

/**
 * The frame, made in this thread. It wipes the plaintext, and not the key and the records of the request.
 * @throws StoreError `too-large`
 */
export function sealFrame({ generation, number, cipher, changes }: FrameRequest): Uint8Array {
  const plaintext = encodeRecords(changes);
  try {
    return writeFrame(generation, number, cipher, plaintext);
  } finally {
    plaintext.fill(0);
  }
}

/** A sealer that does all its work in the event loop, for the simulator and its own clock. */
export const sealerInPlace: Sealer = {
  seal: async (request) => sealFrame(request),
  close: async () => {},
};

/** The sealer of a real peer. */
export class ThreadSealer implements Sealer {
  #pool: Piscina<FrameRequest, Sealed> | undefined;

  async seal(request: FrameRequest): Promise<Uint8Array> {
    if (bytesOf(request.changes) < threadBytesMin) return sealFrame(request);
    const sealed = await this.#ask(request);
    if (sealed !== undefined && 'frame' in sealed) assertNumbered(sealed.frame, request.number);
    // When the machine has no room for a thread, the event loop seals the frame.
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
   * The thread's answer. `undefined` when there is no thread, or when the thread died during this request.
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
