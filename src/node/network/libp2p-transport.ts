/** The transport over libp2p: TCP, Noise, yamux, gossipsub, and one service of Holdfast for each protocol. */

import type { Connection, PeerId, PeerInfo } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Identity, isPeerId, peerIdOf } from '../home/identity.ts';
import { type Log, silentLog } from '../log.ts';
import { AddressBook } from './address-book.ts';
import { AddressExchange } from './address-exchange.ts';
import { defaultTimings, gossipTopic, type NetworkTimings, networkLimits } from './constants.ts';
import { Direct } from './direct.ts';
import { defaultQueueBounds, type QueueBounds } from './frame-stream.ts';
import { Gossip } from './gossip.ts';
import { Handshake } from './handshake.ts';
import { listenErrorOf } from './held-ports.ts';
import { createMemberNode, type MemberNode } from './libp2p-node.ts';
import { type PeerConnection, PeerConnections } from './peer-connections.ts';
import { QuotaEnforcer } from './quota-enforcer.ts';
import type { QuotaName, ReproachQuota } from './quotas.ts';
import { Reconnector } from './reconnector.ts';
import { Requests } from './requests.ts';
import { watchTraffic } from './traffic.ts';
import {
  type CutOff,
  type EpochAuthenticator,
  type MemberAddress,
  type Transport,
  TransportError,
  type TransportHandlers,
} from './transport.ts';
import { type Twin, Twins } from './twins.ts';

/** The options of a transport. All but the first three may be left out. */
export interface Libp2pTransportOptions {
  identity: Identity;
  /** In hex. It names the gossip topic and the mDNS service, and every handshake signs it. */
  clusterId: string;
  /** The multiaddrs to listen on, such as /ip4/0.0.0.0/tcp/4101. */
  listen: readonly string[];
  /** Multiaddrs with peer ids where members may be found. Addresses of non-members are not dialled. */
  bootstrap?: readonly string[];
  /** Whether this peer announces itself and looks for members on the LAN. The default is true. */
  mdns?: boolean;
  log?: Log;
  /** The answer of `twins` has changed. */
  onTwins?: () => void;
  timings?: Partial<NetworkTimings>;
  queueBounds?: QueueBounds;
}

/** The parts that exist between `start` and `stop`. */
interface Running {
  node: MemberNode;
  handshake: Handshake;
  direct: Direct;
  requests: Requests;
  gossip: Gossip;
  exchange: AddressExchange;
  twins: Twins;
  reconnector: Reconnector;
}

/** The network of a real daemon. */
export class Libp2pTransport implements Transport {
  readonly peerId: string;
  readonly #options: Libp2pTransportOptions;
  readonly #log: Log;
  readonly #timings: NetworkTimings;
  readonly #connections = new PeerConnections();
  readonly #book: AddressBook;
  readonly #quotas: QuotaEnforcer;
  #handlers: TransportHandlers | null = null;
  #running: Running | null = null;

  constructor(options: Libp2pTransportOptions) {
    this.peerId = peerIdOf(options.identity);
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#timings = { ...defaultTimings, ...options.timings };
    this.#book = new AddressBook(options.bootstrap ?? []);
    this.#quotas = new QuotaEnforcer({
      nowMs: () => performance.now(),
      disconnect: (peer, reason) => {
        for (const { connection } of this.#connections.of(peer)) connection.abort(new Error(reason));
      },
      log: this.#log,
    });
  }

  addresses(): string[] {
    return this.#running?.node.getMultiaddrs().map(String) ?? [];
  }

  memberAddresses(): MemberAddress[] {
    const peers = this.#book.peers();
    return peers.map((peer) => ({ peer, addresses: this.#book.addressesOf(peer).map(String) }));
  }

  async start(handlers: TransportHandlers, authenticator: EpochAuthenticator): Promise<void> {
    if (this.#running) throw new Error('the network is already running');
    const node = await this.#createNode();
    const running = this.#createServices(node, handlers, authenticator);
    const { handshake, direct, requests, gossip, exchange, twins, reconnector } = running;
    this.#handlers = handlers;
    this.#running = running;
    node.addEventListener('connection:open', this.#onOpen);
    node.addEventListener('connection:close', this.#onClose);
    node.addEventListener('peer:disconnect', this.#onPeerGone);
    // Every protocol is served before the first connection can open.
    await Promise.all([handshake, direct, requests, exchange, twins].map((service) => service.start()));
    try {
      await node.start();
    } catch (cause) {
      await this.stop();
      throw await listenErrorOf('the daemon', this.#options.listen, cause);
    }
    gossip.start();
    reconnector.start();
    this.#log.info({ peerId: this.peerId, addresses: this.addresses() }, 'network started');
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = null;
    this.#handlers = null;
    const { node, handshake, direct, requests, gossip, exchange, twins, reconnector } = running;
    reconnector.stop();
    gossip.stop();
    await Promise.all([handshake, direct, requests, exchange, twins].map((service) => service.stop()));
    await node.stop();
    this.#connections.clear();
  }

  async setMembers(members: readonly MemberAddress[]): Promise<void> {
    const before = this.#book.peers();
    this.#book.setMembers(members.filter(({ peer }) => peer !== this.peerId && isPeerId(peer)));
    this.#quotas.keep((peer) => this.#book.has(peer));
    if (!this.#running) return;
    const { node, reconnector } = this.#running;
    reconnector.membersChanged();
    const removed = before.filter((peer) => !this.#book.has(peer));
    await Promise.all(removed.map((peer) => this.#forget(node, peerIdFromString(peer))));
  }

  publish(frame: Uint8Array): void {
    this.#running?.gossip.publish(frame);
  }

  send(peer: string, frame: Uint8Array): void {
    this.#running?.direct.send(peer, frame);
  }

  request(peer: string, request: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array> {
    if (this.#running) return this.#running.requests.request(peer, request, options.signal);
    return Promise.reject(new TransportError('not-started', 'the network is not running', peer));
  }

  connected(): string[] {
    return this.#connections.peers();
  }

  authenticated(): string[] {
    return this.#connections.authenticated();
  }

  reauthenticate(peer: string): void {
    for (const peerConnection of this.#connections.of(peer)) this.#running?.handshake.renew(peerConnection);
  }

  dropped(): number {
    return this.#running?.direct.dropped ?? 0;
  }

  reproach(peer: string, quota: ReproachQuota = 'refusals'): void {
    if (this.#book.has(peer)) this.#quotas.spend(peer, quota);
  }

  cutOffs(): CutOff[] {
    return this.#quotas.cutOffs();
  }

  /**
   * The members that speak from two machines, and the peer ids of the members that meet another machine with
   * this peer's identity.
   */
  twins(): { met: Twin[]; toldBy: string[] } {
    const { twins } = this.#running ?? {};
    return { met: twins?.met() ?? [], toldBy: twins?.toldBy() ?? [] };
  }

  /** All peers in libp2p's peer store: this peer and members, never strangers. For tests and `doctor`. */
  async remembered(): Promise<string[]> {
    const peers = (await this.#running?.node.peerStore.all()) ?? [];
    return peers.map(({ id }) => id.toString());
  }

  #createNode(): Promise<MemberNode> {
    const { identity, clusterId, listen, mdns = true } = this.#options;
    return createMemberNode({
      ...{ identity, clusterId, listen, timings: this.#timings },
      isMember: (peer) => this.#book.has(peer),
      isCutOff: (peer) => this.#quotas.isCutOff(peer),
      onFound: mdns ? (found) => this.#found(found) : null,
    });
  }

  /** Somebody announced addresses on the LAN. Only those of members count. */
  #found({ id, multiaddrs }: PeerInfo): void {
    const peer = id.toString();
    if (!this.#book.has(peer)) return;
    this.#book.addDiscovered(peer, multiaddrs);
    if (this.#connections.of(peer).length === 0) this.#running?.reconnector.news(peer);
  }

  #createServices(node: MemberNode, handlers: TransportHandlers, authenticator: EpochAuthenticator): Running {
    const { identity, clusterId, queueBounds = defaultQueueBounds } = this.#options;
    const connections = this.#connections;
    const book = this.#book;
    const log = this.#log;
    const ifRunning = (action: () => void): void => {
      if (this.#handlers === handlers) action();
    };
    const spend = (peer: string, quota: QuotaName): boolean => this.#quotas.spend(peer, quota);
    const reconnector = new Reconnector({ node, connections, book, timings: this.#timings, log });
    const exchange = new AddressExchange({
      node,
      identity,
      connections,
      book,
      spend,
      onNews: (peer) => {
        if (connections.of(peer).length === 0) reconnector.news(peer);
      },
      log,
    });
    const onBadFrame = (peer: string, reason: string, quota: ReproachQuota = 'refusals'): void => {
      log.debug({ peer, reason }, 'refused');
      spend(peer, quota);
    };
    const handshake = new Handshake({
      node,
      clusterId,
      connections,
      spend,
      authenticator,
      onAuthenticated: (peerConnection: PeerConnection) =>
        ifRunning(() => {
          reconnector.settled(peerConnection.peer);
          void exchange.greet(peerConnection);
          handlers.onAuthenticated(peerConnection.peer);
        }),
      onUnauthenticated: ({ peer }) =>
        ifRunning(() => {
          if (!connections.best(peer)?.authenticated) handlers.onUnauthenticated(peer);
        }),
      reproofMs: this.#timings.reproofMs,
      log,
    });
    const direct = new Direct({
      node,
      connections,
      queueBounds,
      onFrame: ({ peer, proven }, frame) => {
        if (this.#handlers !== handlers || !spend(peer, 'directFrames')) return undefined;
        return handlers.onMessage(peer, frame, 'direct', proven);
      },
      onBadFrame,
      log,
    });
    const requests = new Requests({
      node,
      connections,
      onRequest: (peer, request, signal) => handlers.onRequest(peer, request, signal),
      enforcer: this.#quotas,
      onBadFrame,
      log,
    });
    const gossip = new Gossip({
      pubsub: node.services.pubsub,
      topic: gossipTopic(clusterId),
      isMember: (peer) => book.has(peer),
      spend,
      authenticated: () => connections.authenticated(),
      sendDirect: (peer, frame) => direct.send(peer, frame),
      onFrame: (author, frame) => ifRunning(() => void handlers.onMessage(author, frame, 'gossip', true)),
      log,
    });
    const twins = new Twins({
      node,
      connections,
      spend,
      onChange: () => ifRunning(() => this.#options.onTwins?.()),
      log,
    });
    return { node, handshake, direct, requests, gossip, exchange, twins, reconnector };
  }

  readonly #onOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    const peer = connection.remotePeer.toString();
    if (!this.#book.has(peer)) {
      connection.abort(new Error('not a member')); // The peer was removed during the upgrade.
      return;
    }
    const enforcer = this.#quotas;
    if (!enforcer.spend(peer, 'connections')) {
      connection.abort(new Error('cut off'));
      return;
    }
    if (this.#connections.of(peer).length >= networkLimits.connectionsPerMemberMax) {
      connection.abort(new Error('too many connections at once'));
      return;
    }
    watchTraffic(connection, {
      onBytes: (count) => void enforcer.spend(peer, 'bytes', count),
      onStream: () => void enforcer.spend(peer, 'streams'),
    });
    const { peerConnection, first } = this.#connections.add(connection);
    if (first) this.#handlers?.onConnect(peer);
    if (connection.direction !== 'outbound') return;
    this.#running?.handshake.run(peerConnection);
    void this.#running?.twins.greet(peerConnection);
  };

  readonly #onClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    const peerConnection = this.#connections.remove(connection);
    if (!peerConnection) return;
    const others = this.#connections.of(peerConnection.peer);
    // Gossipsub keeps its stream on one connection and never moves it to another. A fresh connection serves
    // all protocols.
    for (const other of others) other.connection.abort(new Error('another connection to this peer closed'));
    if (others.length > 0) return; // The last of them reports the loss.
    this.#handlers?.onDisconnect(peerConnection.peer);
    this.#running?.reconnector.lost(peerConnection.peer);
  };

  /**
   * At this event libp2p's own listeners have already begun to read the peer store. The entry is deleted
   * after them.
   */
  readonly #onPeerGone = ({ detail: peer }: CustomEvent<PeerId>): void => {
    if (this.#running && !this.#book.has(peer.toString())) void this.#forget(this.#running.node, peer);
  };

  async #forget(node: MemberNode, peer: PeerId): Promise<void> {
    try {
      await node.hangUp(peer, { signal: AbortSignal.timeout(1_000) });
    } catch {
      for (const { connection } of this.#connections.of(peer.toString()))
        connection.abort(new Error('not a member'));
    }
    await node.peerStore.delete(peer).catch((err: unknown) => this.#log.debug({ err }, 'peer not forgotten'));
  }
}
