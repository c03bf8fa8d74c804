/** A peer's end of the simulated network: the `Transport` of its driver, and its side of each connection. */
import {
  type CutOff,
  type EpochAuthenticator,
  type MemberAddress,
  type Transport,
  TransportError,
  type TransportHandlers,
} from '../../node/network/transport.ts';

/** One connection between two running peers; `a` < `b`. Gone for good once closed. */
export interface Connection {
  readonly a: SimulatedTransport;
  readonly b: SimulatedTransport;
  open: boolean;
  /** The sides at which the other one has proven its epoch key. */
  readonly authenticated: Set<SimulatedTransport>;
  /** How often each side asked for a new proof, and what ends its wait for it. */
  readonly renewals: Map<SimulatedTransport, number>;
  /** The last of these that a handshake has answered, which began after it; handshakes can overtake each other. */
  readonly answered: Map<SimulatedTransport, number>;
  readonly waits: Map<SimulatedTransport, () => void>;
  readonly rejects: Set<() => void>;
  readonly directions: Map<SimulatedTransport, { frames: number; bytes: number; arrivesLast: number }>;
}

export interface Frame {
  from: string;
  bytes: Uint8Array;
  via: 'gossip' | 'direct';
}

/** What a transport asks of the network that it is on. */
export interface Cables {
  /** The transport runs, or does no longer. */
  enter(transport: SimulatedTransport): void;
  leave(transport: SimulatedTransport): void;
  /** Opens and closes connections until they match who runs, who lists whom, and what is cut. */
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
  /** One side asks for a new proof; the old one counts for a while more. */
  renew(connection: Connection, side: SimulatedTransport): void;
}

type Reproach = Parameters<Transport['reproach']>;

export class SimulatedTransport implements Transport {
  readonly peerId: string;
  handlers: TransportHandlers | null = null;
  /** Whom the peer reproached, and what for. */
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

  /** Nobody is cut off here: what a flood does to the core shall be seen. */
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
