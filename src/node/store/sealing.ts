/**
 * Sealing records as a frame: short ones at once, long ones in a thread of their own. A megabyte takes a good part of a
 * second, and a peer whose event loop stands still for some of them looks dead to the others.
 */
import { Worker } from 'node:worker_threads';
import type { CipherName } from '../../cipher/local-cipher.ts';
import { type Generation, writeFrame } from './frame.ts';
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
  #thread: Worker | undefined;
  /** Settles what was asked of the thread; `undefined`: it could not be started, or has died. */
  #answer: (sealed: Sealed | undefined) => void = () => {};

  async seal(request: FrameRequest): Promise<Uint8Array> {
    if (bytesOf(request.changes) < threadBytesMin) return sealFrame(request);
    const sealed = await this.#ask(request);
    // Without a thread (the machine has no room for one) it takes the event loop's time, and is sealed all the same.
    if (sealed === undefined) return sealFrame(request);
    if ('frame' in sealed) return sealed.frame;
    throw sealed.code === null ? new Error(sealed.message) : new StoreError(sealed.code, sealed.message);
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  async #ask(request: FrameRequest): Promise<Sealed | undefined> {
    const thread = this.#started();
    const sealed = new Promise<Sealed | undefined>((resolve) => {
      this.#answer = resolve;
    });
    thread.ref();
    thread.postMessage(request);
    return sealed.finally(() => thread.unref());
  }

  #started(): Worker {
    if (this.#thread !== undefined) return this.#thread;
    const name = import.meta.url.endsWith('.ts') ? './sealing-thread.ts' : './sealing-thread.js';
    const thread = new Worker(new URL(name, import.meta.url));
    const gone = (): void => {
      if (this.#thread === thread) this.#thread = undefined;
      this.#answer(undefined);
    };
    thread.on('message', (sealed: Sealed) => this.#answer(sealed));
    thread.on('error', gone);
    thread.on('exit', gone);
    this.#thread = thread;
    return thread;
  }
}
