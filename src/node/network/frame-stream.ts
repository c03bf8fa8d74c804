/** Frames with a length prefix over a long-lived libp2p stream. Both directions have bounds. */
import type { Stream } from '@libp2p/interface';
import { messageStreamToDuplex } from '@libp2p/utils';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { networkLimits } from './constants.ts';

/** The bounds of a queue: frames, and bytes of all frames together. */
export interface QueueBounds {
  framesMax: number;
  bytesMax: number;
}

/** The bounds of a queue unless a test sets others. */
export const defaultQueueBounds: QueueBounds = {
  framesMax: networkLimits.queueFramesMax,
  bytesMax: networkLimits.queueBytesMax,
};

/** The frames on their way into a stream, in order. A queue has one reader. */
export class FrameQueue {
  readonly #bounds: QueueBounds;
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  /** Adds a frame. False when the queue is full or has ended: then the frame is not taken. */
  push(frame: Uint8Array): boolean {
    const full =
      this.#frames.length >= this.#bounds.framesMax || this.#bytes + frame.length > this.#bounds.bytesMax;
    if (this.#ended || full) return false;
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#wake?.();
    return true;
  }

  /** Ends the queue and drops its frames. @returns the number of frames that were still waiting */
  end(): number {
    const waiting = this.#frames.length;
    this.#ended = true;
    this.#frames.length = 0;
    this.#bytes = 0;
    this.#wake?.();
    return waiting;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    while (!this.#ended) {
      const frame = this.#frames.shift();
      if (frame !== undefined) {
        this.#bytes -= frame.length;
        yield frame;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    }
  }
}

interface FrameStreamOptions {
  /** The frames to write. A stream that is only read has none. */
  outgoing?: FrameQueue;
  /**
   * Takes a frame of the peer. A returned promise pauses the stream until it settles, so the sender waits and
   * this peer's memory does not grow.
   */
  onFrame(frame: Uint8Array): void | Promise<void>;
  /** The most bytes of one frame, in either direction. The default is the longest frame of any stream. */
  frameBytesMax?: number;
  /** The peer sent bytes that are no frame within the bounds. The stream ends. */
  onBadFrame?(why: string): void;
}

/**
 * A frame that no honest peer sends: it is too slow, or in too many pieces. `it-length-prefixed` finds frames
 * that are too long.
 */
class FrameError extends Error {}
const badFrames = ['InvalidMessageLengthError', 'InvalidDataLengthError', 'InvalidDataLengthLengthError'];
const isBadFrame = (error: unknown): error is Error =>
  error instanceof FrameError || (error instanceof Error && badFrames.includes(error.name));

/**
 * Runs a stream until either side ends it, and then aborts it. A half-closed stream is treated as ended,
 * because iterating one never ends. Never rejects.
 */
export async function runFrameStream(stream: Stream, options: FrameStreamOptions): Promise<void> {
  const { outgoing, onFrame, onBadFrame, frameBytesMax = networkLimits.frameBytesMax } = options;
  const bounds = { maxDataLength: frameBytesMax };
  if (stream.remoteWriteStatus === 'closed') {
    outgoing?.end();
    stream.abort(new Error('the stream was closed before it began'));
    return;
  }
  const { source, sink } = messageStreamToDuplex(stream);
  const closed = new Promise<void>((resolve) => {
    stream.addEventListener('close', () => resolve(), { once: true });
  });
  let ended = false;
  let chunksOfFrame = 0;
  let frameTimer: NodeJS.Timeout | undefined;
  const tooSlow = Promise.withResolvers<never>();
  async function* counted(): typeof source {
    for await (const chunk of source) {
      if (ended) return;
      chunksOfFrame += 1;
      frameTimer ??= setTimeout(
        () => tooSlow.reject(new FrameError('the frame takes too long')),
        networkLimits.frameTimeoutMs,
      );
      if (chunksOfFrame > networkLimits.chunksPerFrameMax)
        throw new FrameError('the frame comes in too many pieces');
      yield chunk;
    }
  }
  const reading = pipe(
    counted(),
    (chunks) => decode(chunks, bounds),
    async (frames) => {
      for await (const frame of frames) {
        if (ended) return;
        chunksOfFrame = 0;
        clearTimeout(frameTimer);
        frameTimer = undefined;
        const handled = onFrame(frame.slice());
        if (handled === undefined) continue;
        if (stream.readStatus === 'readable') stream.pause();
        await handled;
        if (stream.readStatus === 'paused') stream.resume();
      }
    },
  );
  const writing = outgoing && pipe(outgoing, (frames) => encode(frames, bounds), sink);
  // A part that still runs at the end of the stream ends by itself. A frame's handler may even wait for this
  // function to return.
  reading.catch(() => {});
  writing?.catch(() => {});
  try {
    await Promise.race(
      writing ? [reading, writing, closed, tooSlow.promise] : [reading, closed, tooSlow.promise],
    );
  } catch (error) {
    // The end of the connection and a bad frame both end the stream. The code that needs the stream opens a
    // new one.
    if (isBadFrame(error)) onBadFrame?.(error.message);
  }
  ended = true;
  clearTimeout(frameTimer);
  outgoing?.end();
  stream.abort(new Error('the stream has ended'));
}
