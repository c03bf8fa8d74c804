/**
 * Direct frames to one member. Each connection has one long-lived stream per direction. The first frame opens
 * it.
 */
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import type { Log } from '../log.ts';
import { networkLimits, protocolIds } from './constants.ts';
import { FrameQueue, type QueueBounds, runFrameStream } from './frame-stream.ts';
import type { PeerConnection, PeerConnections } from './peer-connections.ts';

interface DirectComponents {
  node: Pick<Libp2p, 'handle' | 'unhandle'>;
  connections: PeerConnections;
  queueBounds: QueueBounds;
  /** Takes a frame. A returned promise pauses the stream until it settles. */
  onFrame(peerConnection: PeerConnection, frame: Uint8Array): void | Promise<void>;
  /** A peer sent bytes that are no frame. */
  onBadFrame(peer: string, why: string): void;
  log: Log;
}

/** Sends direct frames, and receives those of others. */
export class Direct {
  readonly #components: DirectComponents;
  readonly #queues = new Map<PeerConnection, FrameQueue>();
  readonly #stopped = new AbortController();
  #dropped = 0;

  constructor(components: DirectComponents) {
    this.#components = components;
  }

  async start(): Promise<void> {
    const { onFrame, onBadFrame } = this.#components;
    const receive = (stream: Stream, connection: Connection): void => {
      const peerConnection = this.#components.connections.get(connection);
      if (peerConnection)
        void runFrameStream(stream, {
          onFrame: (frame) => onFrame(peerConnection, frame),
          onBadFrame: (why) => onBadFrame(peerConnection.peer, why),
        });
      else stream.abort(new Error('the connection is not known'));
    };
    // Two streams, because a new one may open before the end of the old one has arrived.
    await this.#components.node.handle(protocolIds.direct, receive, { maxInboundStreams: 2 });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const queue of this.#queues.values()) queue.end();
    await this.#components.node.unhandle(protocolIds.direct);
  }

  /** The number of frames that were dropped: a queue was full, or the stream or connection ended. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Queues a frame for a member. Never throws. A frame that does not fit is dropped and counted. */
  send(peer: string, frame: Uint8Array): void {
    const peerConnection = this.#components.connections.best(peer);
    if (!peerConnection || this.#stopped.signal.aborted) {
      this.#dropped += 1;
      return;
    }
    let queue = this.#queues.get(peerConnection);
    if (!queue) {
      queue = new FrameQueue(this.#components.queueBounds);
      this.#queues.set(peerConnection, queue);
      void this.#run(peerConnection, queue);
    }
    const fits = frame.length <= networkLimits.frameBytesMax;
    if (!fits || !queue.push(frame)) this.#dropped += 1;
  }

  async #run(peerConnection: PeerConnection, queue: FrameQueue): Promise<void> {
    try {
      const signal = AbortSignal.any([
        this.#stopped.signal,
        AbortSignal.timeout(networkLimits.streamOpenTimeoutMs),
      ]);
      const stream = await peerConnection.connection.newStream(protocolIds.direct, { signal });
      // The other side never sends anything on this stream.
      await runFrameStream(stream, {
        outgoing: queue,
        onFrame: () => stream.abort(new Error('unexpected frame')),
      });
    } catch (err) {
      this.#components.log.debug({ peer: peerConnection.peer, err }, 'direct stream failed');
    } finally {
      this.#dropped += queue.end();
      this.#queues.delete(peerConnection);
    }
  }
}
