/**
 * Requests and answers between members. Each requesting side has one long-lived stream per connection, with
 * many requests in flight. A frame is `kind (1 byte) ‖ request number (4 bytes, big-endian) ‖ body`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import type { Log } from '../log.ts';
import { networkLimits, protocolIds } from './constants.ts';
import { defaultQueueBounds, FrameQueue, runFrameStream } from './frame-stream.ts';
import type { PeerConnection, PeerConnections } from './peer-connections.ts';
import type { QuotaEnforcer } from './quota-enforcer.ts';
import type { ReproachQuota } from './quotas.ts';
import { TransportError, type TransportErrorCode } from './transport.ts';

const headerBytes = 5;
const frameBytesMax = networkLimits.requestFrameBytesMax;
const kinds = { request: 0, answer: 1, refusal: 2, cancel: 3 } as const;
type Kind = (typeof kinds)[keyof typeof kinds];
const noBytes = new Uint8Array();

function encodeFrame(kind: Kind, number: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(headerBytes + body.length);
  new DataView(frame.buffer).setUint32(1, number);
  frame[0] = kind;
  frame.set(body, headerBytes);
  return frame;
}

/** The parts of a frame. Null when it is shorter than a header. */
function decodeFrame(frame: Uint8Array): { kind: number; number: number; body: Uint8Array } | null {
  if (frame.length < headerBytes) return null;
  const header = new DataView(frame.buffer, frame.byteOffset);
  return { kind: header.getUint8(0), number: header.getUint32(1), body: frame.subarray(headerBytes) };
}

interface Waiting {
  resolve(answer: Uint8Array): void;
  reject(error: TransportError): void;
}

/** The state of the stream that carries this peer's requests over one connection. */
interface Requester {
  readonly queue: FrameQueue;
  readonly waiting: Map<number, Waiting>;
  nextNumber: number;
}

interface RequestsComponents {
  node: Pick<Libp2p, 'handle' | 'unhandle'>;
  connections: PeerConnections;
  onRequest(peer: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  enforcer: Pick<QuotaEnforcer, 'pace'>;
  /**
   * A peer sent bytes that are no frame or no request, or a request that it may not send now. The default of
   * `quota` is `refusals`.
   */
  onBadFrame(peer: string, why: string, quota?: ReproachQuota): void;
  log: Log;
}

/** Sends this peer's requests, and serves those of others. */
export class Requests {
  readonly #components: RequestsComponents;
  readonly #requesters = new Map<PeerConnection, Requester>();
  readonly #stopped = new AbortController();

  constructor(components: RequestsComponents) {
    this.#components = components;
  }

  async start(): Promise<void> {
    const serve = (stream: Stream, connection: Connection): void => {
      const peerConnection = this.#components.connections.get(connection);
      if (peerConnection) void this.#serve(stream, peerConnection);
      else stream.abort(new Error('the connection is not known'));
    };
    await this.#components.node.handle(protocolIds.use, serve, { maxInboundStreams: 2 });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const requester of this.#requesters.values()) requester.queue.end();
    await this.#components.node.unhandle(protocolIds.use);
  }

  /**
   * The peer's answer, which is not trusted.
   * @throws TransportError (as a rejection) `aborted`, `not-connected`, `not-authenticated`, `too-large`,
   * `busy`, `refused` or `closed`
   */
  request(peer: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const fail = (code: TransportErrorCode, message: string): Promise<never> =>
      Promise.reject(new TransportError(code, message, peer));
    const peerConnection = this.#components.connections.best(peer);
    if (signal.aborted) return fail('aborted', 'the request was aborted');
    if (!peerConnection || this.#stopped.signal.aborted)
      return fail('not-connected', 'the peer is not connected');
    if (!peerConnection.authenticated)
      return fail('not-authenticated', 'the peer has not proven its epoch key');
    if (request.length + headerBytes > frameBytesMax) return fail('too-large', 'the request is too large');
    const requester = this.#requester(peerConnection);
    const { queue, waiting } = requester;
    if (waiting.size >= networkLimits.requestsWaitingMax)
      return fail('busy', 'too many requests wait for this peer');
    const number = requester.nextNumber;
    requester.nextNumber = (number + 1) >>> 0;
    if (!queue.push(encodeFrame(kinds.request, number, request))) {
      return fail('busy', 'too many requests wait for this peer');
    }
    return new Promise<Uint8Array>((resolve, reject) => {
      const cancel = (): void => {
        waiting.delete(number);
        queue.push(encodeFrame(kinds.cancel, number, noBytes));
        reject(new TransportError('aborted', 'the request was aborted', peer));
      };
      signal.addEventListener('abort', cancel, { once: true });
      const done = (): void => {
        waiting.delete(number);
        signal.removeEventListener('abort', cancel);
      };
      waiting.set(number, {
        resolve: (answer) => {
          done();
          resolve(answer);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
    });
  }

  #requester(peerConnection: PeerConnection): Requester {
    let requester = this.#requesters.get(peerConnection);
    if (!requester) {
      requester = { queue: new FrameQueue(defaultQueueBounds), waiting: new Map(), nextNumber: 0 };
      this.#requesters.set(peerConnection, requester);
      void this.#ask(peerConnection, requester);
    }
    return requester;
  }

  /** Runs the stream of this peer's own requests. */
  async #ask(peerConnection: PeerConnection, { queue, waiting }: Requester): Promise<void> {
    try {
      const signal = AbortSignal.any([
        this.#stopped.signal,
        AbortSignal.timeout(networkLimits.streamOpenTimeoutMs),
      ]);
      const stream = await peerConnection.connection.newStream(protocolIds.use, { signal });
      const onFrame = (frame: Uint8Array): void => {
        const reply = decodeFrame(frame);
        const asked = reply && waiting.get(reply.number);
        if (reply === null) stream.abort(new Error('malformed frame'));
        else if (reply.kind === kinds.answer) asked?.resolve(reply.body);
        else
          asked?.reject(new TransportError('refused', 'the peer refused the request', peerConnection.peer));
      };
      await runFrameStream(stream, { outgoing: queue, onFrame, frameBytesMax });
    } catch (err) {
      this.#components.log.debug({ peer: peerConnection.peer, err }, 'request stream failed');
    } finally {
      queue.end();
      this.#requesters.delete(peerConnection);
      for (const { reject } of [...waiting.values()]) {
        reject(
          new TransportError(
            'closed',
            'the connection to the peer closed before it answered',
            peerConnection.peer,
          ),
        );
      }
    }
  }

  /** Runs a stream of the other peer's requests. */
  async #serve(stream: Stream, peerConnection: PeerConnection): Promise<void> {
    const { enforcer, onBadFrame } = this.#components;
    const over = new AbortController();
    const outgoing = new FrameQueue(defaultQueueBounds);
    const serving = new Map<number, AbortController>();
    const reply = (kind: Kind, number: number, body: Uint8Array): void => {
      // A peer that does not read its answers loses the stream, and all requests on it.
      if (!outgoing.push(encodeFrame(kind, number, body))) stream.abort(new Error('too many unread answers'));
    };
    let slotFreed: () => void = () => {};
    const answer = async (number: number, body: Uint8Array, control: AbortController): Promise<void> => {
      try {
        const bytes = await this.#components.onRequest(peerConnection.peer, body, control.signal);
        if (bytes.length + headerBytes > frameBytesMax) throw new Error('the answer is too large');
        if (!control.signal.aborted) reply(kinds.answer, number, bytes);
      } catch (err) {
        // The peer is not blamed here, because this peer's own disk or workers may have failed. The handler
        // decides that.
        this.#components.log.debug({ peer: peerConnection.peer, err }, 'request refused');
        if (!control.signal.aborted) reply(kinds.refusal, number, noBytes);
      } finally {
        serving.delete(number);
        slotFreed();
      }
    };
    const onFrame = (frame: Uint8Array): void | Promise<void> => {
      const asked = decodeFrame(frame);
      const waitMs = enforcer.pace(peerConnection.peer, 'requests');
      // The pause of the stream makes the peer wait until its quota allows another request.
      const paced =
        waitMs === 0 ? undefined : delay(waitMs, undefined, { signal: over.signal }).catch(() => {});
      if (asked?.kind === kinds.cancel) {
        serving.get(asked.number)?.abort();
        return paced;
      }
      if (asked?.kind !== kinds.request || serving.has(asked.number)) {
        onBadFrame(peerConnection.peer, 'malformed request');
        return stream.abort(new Error('malformed frame'));
      }
      if (!peerConnection.proven) {
        // A peer that has proven a key here may not know yet that the key was replaced. An honest peer never
        // asks before its first proof.
        const quota = peerConnection.wasProven ? 'refusedUses' : 'refusals';
        onBadFrame(peerConnection.peer, 'a request before the epoch key was proven', quota);
        return reply(kinds.refusal, asked.number, noBytes);
      }
      const control = new AbortController();
      serving.set(asked.number, control);
      void answer(asked.number, asked.body, control);
      if (serving.size < networkLimits.requestsServedMax) return paced;
      return new Promise((resolve) => {
        slotFreed = resolve; // The stream is paused until one of the requests is answered.
      });
    };
    await runFrameStream(stream, {
      ...{ outgoing, onFrame, frameBytesMax },
      onBadFrame: (why) => onBadFrame(peerConnection.peer, why),
    });
    over.abort();
    for (const control of serving.values()) control.abort();
    slotFreed();
  }
}
