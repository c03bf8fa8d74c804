/** A peer's end of the simulated network: the `Transport` of its driver, and its side of each connection. */
import {
  type CutOff,
  type EpochAuthenticator,
  type MemberAddress,
  type Transport,
  TransportError,
  type TransportHandlers,
} from '../../node/network/transport.ts';

/**
 * One connection between two running peers. The peer id of `a` is smaller than that of `b`. A closed
 * connection never opens again.
 */
export interface Connection {
  readonly a: SimulatedTransport;
  readonly b: SimulatedTransport;
  open: boolean;
  /** The sides to which the other side has proven its epoch key. */
  readonly authenticated: Set<SimulatedTransport>;
  /** How often each side has asked for a new proof. */
  readonly renewals: Map<SimulatedTransport, number>;
  /**
   * For each side, the newest of its requests for a proof that a handshake has answered. Handshakes can
   * overtake each other, so each remembers the requests that were made before it began.
   */
  readonly answered: Map<SimulatedTransport, number>;
  readonly waits: Map<SimulatedTransport, () => void>;
  readonly rejects: Set<() => void>;
  readonly directions: Map<SimulatedTransport, { frames: number; bytes: number; arrivesLast: number }>;
}

/** One frame that arrives. */
export interface Frame {
  from: string;
  bytes: Uint8Array;
  via: 'gossip' | 'direct';
}

/** The parts of the network that a transport uses. */
export interface Cables {
  /** The transport starts, or has stopped. */
  enter(transport: SimulatedTransport): void;
  leave(transport: SimulatedTransport): void;
  /**
   * Opens and closes connections. Afterwards two peers are connected if both run, both list each other, and
   * nothing cuts them.
   */
  review(): void;
  peersOf(transport: SimulatedTransport, authenticated: boolean): string[];
  connection(transport: SimulatedTransport, peer: string): Connection | undefined;
  /** @returns false when the queue is full */
  deliver(connection: Connection, sender: SimulatedTransport, via: Frame['via'], bytes: Uint8Array): boolean;
  /** A request is lost only with its connection. */
  ask(
    connection: Connection,
    asker: SimulatedTransport,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** One side asks for a new proof. The old one counts for a while more. */
  renew(connection: Connection, side: SimulatedTransport): void;
}

type Reproach = Parameters<Transport['reproach']>;

/** The transport of one process of a peer. */
export class SimulatedTransport implements Transport {
  readonly peerId: string;
  handlers: TransportHandlers | null = null;
  /** The peers that this peer reproached, each with the reason. */
  readonly reproached: Reproach[] = [];
  readonly #network: Cables;
  readonly #members = new Map<string, string[]>();
  #authenticator: EpochAuthenticator | null = null;
  #dropped = 0;

  constructor(network: Cables, peer: string) {
    this.#network = network;
    this.peerId = peer;
  }

  addresses(): string[] {
    return this.handlers ? [`/memory/${this.peerId}`] : [];
  }

  memberAddresses(): MemberAddress[] {
    return [...this.#members].map(([peer, addresses]) => ({ peer, addresses }));
  }

  async start(handlers: TransportHandlers, authenticator: EpochAuthenticator): Promise<void> {
    this.handlers = handlers;
    this.#authenticator = authenticator;
    this.#network.enter(this);
  }

  async stop(): Promise<void> {
    this.handlers = null;
    this.#network.leave(this);
  }

  async setMembers(members: readonly MemberAddress[]): Promise<void> {
    this.#members.clear();
    for (const { peer, addresses } of members) if (peer !== this.peerId) this.#members.set(peer, addresses);
    this.#network.review();
  }

  publish(frame: Uint8Array): void {
    for (const peer of this.connected()) this.#send(peer, frame, 'gossip');
  }

  send(peer: string, frame: Uint8Array): void {
    this.#send(peer, frame, 'direct');
  }

  async request(peer: string, request: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array> {
    const connection = this.#network.connection(this, peer);
    if (options.signal.aborted) throw new TransportError('aborted', 'the request was aborted', peer);
    if (!connection) throw new TransportError('not-connected', 'the peer is not connected', peer);
    if (!connection.authenticated.has(this)) {
      throw new TransportError('not-authenticated', 'the peer has not proven its epoch key', peer);
    }
    return this.#network.ask(connection, this, request, options.signal);
  }

  connected(): string[] {
    return this.#network.peersOf(this, false);
  }

  authenticated(): string[] {
    return this.#network.peersOf(this, true);
  }

  reauthenticate(peer: string): void {
    const connection = this.#network.connection(this, peer);
    if (connection) this.#network.renew(connection, this);
  }

  dropped(): number {
    return this.#dropped;
  }

  /** The simulated transport cuts nobody off, so that the core meets every flood. */
  reproach(...reproach: Reproach): void {
    this.reproached.push(reproach);
  }

  cutOffs(): CutOff[] {
    return [];
  }

  /** @internal */
  lists(peer: string): boolean {
    return this.#members.has(peer);
  }

  /** @internal */
  receive({ from, bytes, via }: Frame, authenticated: boolean): void {
    this.handlers?.onMessage(from, bytes, via, authenticated);
  }

  /** @internal */
  async answer(
    from: string,
    request: Uint8Array,
    signal: AbortSignal,
    authenticated: boolean,
  ): Promise<Uint8Array> {
    if (!this.handlers || !authenticated) throw new Error('refused');
    return this.handlers.onRequest(from, request, signal);
  }

  /** @internal Whether this peer can prove its epoch key to `verifier`. */
  proves(verifier: SimulatedTransport, nonce: Uint8Array): boolean {
    const challenge = new Uint8Array([
      ...new TextEncoder().encode(`${this.peerId} ${verifier.peerId} `),
      ...nonce,
    ]);
    const proof = this.#authenticator?.prove(challenge);
    return proof ? (verifier.#authenticator?.check(this.peerId, challenge, proof) ?? false) : false;
  }

  #send(peer: string, frame: Uint8Array, via: Frame['via']): void {
    const connection = this.#network.connection(this, peer);
    if (!connection || !this.#network.deliver(connection, this, via, frame)) this.#dropped += 1;
  }
}
