/**
 * The lobby: the place where a peer that is no member yet asks for admission (protocol §4, "Beginning"). It
 * is a second libp2p node, without gossip and identify. It is open only while the operator has it open. Each
 * stream carries one bounded request and one bounded response. Strangers use it, so everything has a limit.
 */

import { noise } from '@chainsafe/libp2p-noise';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { lpStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { Identity } from '../home/identity.ts';
import { type Log, silentLog } from '../log.ts';
import { Bucket } from '../network/bucket.ts';
import { networkLimits, protocolIds } from '../network/constants.ts';
import { listenErrorOf } from '../network/held-ports.ts';
import { TransportError } from '../network/transport.ts';

/** The bounds of the lobby. Names say the unit: bytes, milliseconds, or a count. */
export const lobbyLimits = {
  connectionsMax: 16,
  pendingMax: 8,
  /** Per host: a stranger can make peer ids for nothing, but not hosts. */
  connectionsPerSecondMax: 20,
  connectionLifetimeMs: 30_000,
  requestBytesMax: 64 * 1024,
  responseBytesMax: 4 * 1024 * 1024,
  /** A newcomer asks about once a second. */
  requestsOfPeer: { atOnce: 120, perSecond: 2 },
  requests: { atOnce: 1_200, perSecond: 20 },
  requestTimeoutMs: 10_000,
} as const;

/** The options of a lobby. */
export interface LobbyServerOptions {
  identity: Identity;
  /** The multiaddrs to listen on. */
  listen: readonly string[];
  /** Answers one request. The peer's libp2p identity is proven, and nothing else about the peer is. */
  handler(peer: string, request: Uint8Array): Promise<Uint8Array>;
  log?: Log;
  /** Monotonic time in milliseconds. Tests give their own. */
  nowMs?: () => number;
}

async function createNode(identity: Identity, listen: readonly string[]): Promise<Libp2p> {
  return createLibp2p({
    start: false,
    privateKey: identity,
    addresses: { listen: [...listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxInboundStreams: 4 })],
    connectionMonitor: { enabled: false }, // Connections live for seconds only.
    connectionManager: {
      maxConnections: lobbyLimits.connectionsMax,
      maxIncomingPendingConnections: lobbyLimits.pendingMax,
      inboundConnectionThreshold: lobbyLimits.connectionsPerSecondMax,
      inboundUpgradeTimeout: networkLimits.inboundUpgradeTimeoutMs,
    },
  });
}

/** The lobby's node, which opens and closes. */
export class LobbyServer {
  readonly peerId: string;
  readonly #options: LobbyServerOptions;
  readonly #log: Log;
  readonly #timers = new Map<Connection, NodeJS.Timeout>();
  readonly #nowMs: () => number;
  readonly #requests: Bucket;
  /**
   * By peer id, the last asker last. It stays small: `requests` bounds new entries, and full buckets are
   * removed.
   */
  readonly #requestsOf = new Map<string, Bucket>();
  #node: Libp2p | null = null;
  /**
   * Openings and closings run one after the other. Of two nodes that opened at the same time, one would never
   * be closed.
   */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: LobbyServerOptions) {
    this.peerId = peerIdFromPrivateKey(options.identity).toString();
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#requests = new Bucket(lobbyLimits.requests, this.#nowMs());
  }

  /** Multiaddrs with /p2p/…. Empty while the lobby is closed. */
  addresses(): string[] {
    return this.#node?.getMultiaddrs().map(String) ?? [];
  }

  /** Opens the lobby. Does nothing when it is open. @throws ListenError (as a rejection) */
  start(): Promise<void> {
    return this.#inTurn(() => this.#open());
  }

  /** Closes the lobby and all connections to it. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#close());
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(step);
    this.#turn = done.catch(() => {}); // The caller gets the error from `done`.
    return done;
  }

  async #open(): Promise<void> {
    if (this.#node) return;
    const node = await createNode(this.#options.identity, this.#options.listen);
    this.#node = node;
    node.addEventListener('connection:open', ({ detail: connection }) => {
      const expire = (): void => connection.abort(new Error('the visit took too long'));
      this.#timers.set(connection, setTimeout(expire, lobbyLimits.connectionLifetimeMs));
    });
    node.addEventListener('connection:close', ({ detail: connection }) => {
      clearTimeout(this.#timers.get(connection));
      this.#timers.delete(connection);
    });
    // The visitor is forgotten. Otherwise the peer store would grow with strangers.
    node.addEventListener(
      'peer:disconnect',
      ({ detail: peer }) => void node.peerStore.delete(peer).catch(() => {}),
    );
    const serve = (stream: Stream, connection: Connection): Promise<void> => this.#serve(stream, connection);
    await node.handle(protocolIds.lobby, serve, { maxInboundStreams: 1 });
    try {
      await node.start();
    } catch (cause) {
      await this.#close();
      throw await listenErrorOf('the lobby', this.#options.listen, cause);
    }
    this.#log.info({ addresses: this.addresses() }, 'lobby open');
  }

  async #close(): Promise<void> {
    const node = this.#node;
    if (!node) return;
    this.#node = null;
    await node.stop();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#log.info({}, 'lobby closed');
  }

  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString();
    const signal = AbortSignal.timeout(lobbyLimits.requestTimeoutMs);
    try {
      if (!this.#mayAsk(peer)) throw new Error('too many requests');
      const frames = lpStream(stream, { maxDataLength: lobbyLimits.requestBytesMax });
      const request = (await frames.read({ signal })).slice();
      const response = await this.#options.handler(peer, request);
      if (response.length > lobbyLimits.responseBytesMax) throw new Error('the response is too large');
      await frames.write(response, { signal });
      await stream.close({ signal });
    } catch (err) {
      this.#log.debug({ peer, err }, 'lobby request refused');
      stream.abort(new Error('refused'));
    }
  }

  /** Whether the peer may ask now. A peer that asks too often uses up nothing of the others' rate. */
  #mayAsk(peer: string): boolean {
    const nowMs = this.#nowMs();
    for (const [known, bucket] of this.#requestsOf) {
      if (!bucket.isFull(nowMs)) break;
      this.#requestsOf.delete(known);
    }
    const own = this.#requestsOf.get(peer) ?? new Bucket(lobbyLimits.requestsOfPeer, nowMs);
    if (!own.spend(nowMs) || !this.#requests.spend(nowMs)) return false;
    this.#requestsOf.delete(peer);
    this.#requestsOf.set(peer, own);
    return true;
  }
}

interface LobbyRequestOptions {
  identity: Identity;
  /** Multiaddrs that end in /p2p/<the lobby's peer id>, as in an invitation. */
  addresses: readonly string[];
  request: Uint8Array;
  signal: AbortSignal;
}

/**
 * Visits a lobby: dials, asks once and hangs up. The answer is not trusted.
 * @throws TransportError (as a rejection) `not-connected` when no address answers, `refused` when the lobby
 * does not answer, `too-large`, `aborted`
 */
export async function lobbyRequest(options: LobbyRequestOptions): Promise<Uint8Array> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(2 * lobbyLimits.requestTimeoutMs)]);
  if (options.request.length > lobbyLimits.requestBytesMax) {
    throw new TransportError('too-large', 'the request is too large for the lobby');
  }
  const node = await createNode(options.identity, []);
  await node.start();
  let stream: Stream | undefined;
  try {
    const addresses = options.addresses.map((address) => multiaddr(address));
    const connection = await node.dial(addresses, { signal }).catch((cause: unknown) => {
      throw new TransportError(
        'not-connected',
        `the lobby does not answer at ${options.addresses.join(', ')} (${String(cause)})`,
      );
    });
    stream = await connection.newStream(protocolIds.lobby, { signal });
    const frames = lpStream(stream, { maxDataLength: lobbyLimits.responseBytesMax });
    await frames.write(options.request, { signal });
    return (await frames.read({ signal })).slice();
  } catch (err) {
    if (err instanceof TransportError) throw err;
    if (options.signal.aborted) throw new TransportError('aborted', 'the visit to the lobby was aborted');
    throw new TransportError('refused', 'the lobby refused the request, or closed');
  } finally {
    stream?.abort(new Error('done'));
    await node.stop();
  }
}
