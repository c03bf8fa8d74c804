/** Length-prefixed frames over a long-lived libp2p stream, with bounds on both sides. */
import type { Stream } from '@libp2p/interface';
import { messageStreamToDuplex } from '@libp2p/utils';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { networkLimits } from './constants.ts';

export interface QueueBounds {
  framesMax: number;
  bytesMax: number;
}

export const defaultQueueBounds: QueueBounds = {
  framesMax: networkLimits.queueFramesMax,
  bytesMax: networkLimits.queueBytesMax,
};

/** Frames on their way into a stream, in order. Read by one consumer. */
export class FrameQueue {
  readonly #bounds: QueueBounds;
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  /** false: the queue is full or has ended, and the frame was not taken. */
  push(frame: Uint8Array): boolean {
    const full =
      this.#frames.length >= this.#bounds.framesMax || this.#bytes + frame.length > this.#bounds.bytesMax;
    if (this.#ended || full) return false;
    this.#frames.push(frame);
    this.#bytes += frame.length;
    this.#wake?.();
    return true;
  }

  /** @returns how many frames were still waiting */
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
  /** Frames to write; absent on a stream that is only read. */
  outgoing?: FrameQueue;
  /** A returned promise pauses the stream until it settles: the sender then waits, not our memory. */
  onFrame(frame: Uint8Array): void | Promise<void>;
  /** Of one frame, in either direction; by default the longest of any stream. */
  frameBytesMax?: number;
  /** What arrived is no frame within its bounds; the stream ends. */
  onBadFrame?(why: string): void;
}

/** A frame that no honest peer sends: too slow, in too many pieces; too long is `it-length-prefixed`'s to find. */
class FrameError extends Error {}
const badFrames = ['InvalidMessageLengthError', 'InvalidDataLengthError', 'InvalidDataLengthLengthError'];
const isBadFrame = (error: unknown): error is Error =>
  error instanceof FrameError || (error instanceof Error && badFrames.includes(error.name));

/**
 * Runs a stream until either side ends it, then aborts it; half-closed states do not exist here (iterating a stream
 * that was half-closed before never ends). Never rejects.
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
  // What still runs when the stream is over ends by itself; a frame's handler may wait for us to return.
  reading.catch(() => {});
  writing?.catch(() => {});
  try {
    await Promise.race(
      writing ? [reading, writing, closed, tooSlow.promise] : [reading, closed, tooSlow.promise],
    );
  } catch (error) {
    // The connection's end and a peer's bad frame end the stream alike; whoever needs it opens a new one.
    if (isBadFrame(error)) onBadFrame?.(error.message);
  }
  ended = true;
  clearTimeout(frameTimer);
  outgoing?.end();
  stream.abort(new Error('the stream has ended'));
}
