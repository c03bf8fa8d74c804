/**
 * The network as the driver sees it: authenticated members, frames and requests. Two implementations keep
 * this contract: libp2p, and the simulated network of the tests. `test/node/network/transport-contract.ts`
 * tests both.
 */
import { CodedError } from '../../crypto/errors.ts';
import type { ReproachQuota } from './quotas.ts';

/** The calls that the network makes. The bytes come from peers and are not trusted. */
export interface TransportHandlers {
  /**
   * A frame of a member. Before `authenticated` is true, only catch-up may be served: the peer has not proven
   * its epoch key on this connection yet (protocol §4).
   *
   * For gossip, `authenticated` means nothing, and `from` is only the libp2p identity of the publisher. Of
   * gossip, only content that is signed inside counts.
   *
   * A returned promise asks for patience. Until it resolves, the peer's further direct frames wait at the
   * peer.
   */
  onMessage(
    from: string,
    frame: Uint8Array,
    via: 'gossip' | 'direct',
    authenticated: boolean,
  ): void | Promise<void>;
  /** A connection to `peer` is open. Its handshake may still run. */
  onConnect(peer: string): void;
  /** Both sides have proven their epoch keys on a connection. */
  onAuthenticated(peer: string): void;
  /**
   * The peer's proof no longer counts: its key was replaced, and the peer has not proven the new key in time.
   */
  onUnauthenticated(peer: string): void;
  onDisconnect(peer: string): void;
  /**
   * Answers a request of an authenticated peer. When the promise rejects, the peer learns only that it was
   * refused.
   */
  onRequest(from: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/**
 * The proofs of epoch keys, made and checked by the driver. Each side signs both peer ids and the other's
 * nonce with its listed epoch key (protocol §4).
 */
export interface EpochAuthenticator {
  /** The proof of this peer. Null while this peer has no listed key. */
  prove(challenge: Uint8Array): { epoch: number; signature: Uint8Array } | null;
  /** Whether the peer's proof is a signature of its listed key over `challenge`. The proof is not trusted. */
  check(peer: string, challenge: Uint8Array, proof: { epoch: number; signature: Uint8Array }): boolean;
}

/** A member and its addresses. */
export interface MemberAddress {
  /** libp2p peer id */
  peer: string;
  /** multiaddrs, with or without /p2p/… */
  addresses: string[];
}

/** A member that passed a quota. It is refused for a while, and longer each time. */
export interface CutOff {
  /** libp2p peer id */
  peer: string;
  /** In words: the thing of which the member sent too much. */
  reason: string;
  /** The number of cut-offs since the member last stayed within its quotas for long. */
  times: number;
  /** The rest of the cut-off in milliseconds. 0 when the member may connect again. */
  forMs: number;
}

/** The network, as the driver uses it. Peers are named by their libp2p peer ids. */
export interface Transport {
  readonly peerId: string;
  /** Own listen addresses, each with `/p2p/…`. Empty before `start`. */
  addresses(): string[];
  /**
   * Begins to listen and to dial members.
   * @throws ListenError (as a rejection) when this machine does not give a listen address
   */
  start(handlers: TransportHandlers, authenticator: EpochAuthenticator): Promise<void>;
  /** Closes everything. No handler is called after the promise resolves. */
  stop(): Promise<void>;
  /**
   * Sets the peers that may connect, and the last addresses known of them. May be called before `start`.
   * Every other peer is refused at the connection. A member that is no longer listed loses its connections,
   * and its addresses are forgotten.
   */
  setMembers(members: readonly MemberAddress[]): Promise<void>;
  /** The newest addresses known of each other member. The caller stores them for the next start. */
  memberAddresses(): MemberAddress[];
  /**
   * Publishes a frame to all members. Never throws. Within a few seconds the same bytes may be delivered only
   * once.
   */
  publish(frame: Uint8Array): void;
  /**
   * Sends a frame to one member: in order, without a promise of delivery. A frame that does not fit the
   * bounded queue is dropped and counted. Never throws.
   */
  send(peer: string, frame: Uint8Array): void;
  /**
   * Asks an authenticated member, and gives its answer. The answer is not trusted.
   * @throws TransportError (as a rejection)
   */
  request(peer: string, request: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array>;
  connected(): string[];
  authenticated(): string[];
  /**
   * Runs the handshake again, after catch-up or after a change of keys. The older proof counts for a bounded
   * time more, whatever the handshake gives. For that time one side may know the new keys before the other,
   * and still no frame of an honest peer is refused. After that time only newer proofs count. The first few
   * handshakes run at once. Further ones are paced, and those that wait become one.
   */
  reauthenticate(peer: string): void;
  /** The number of frames since the start that `send` and `publish` could not queue. */
  dropped(): number;
  /**
   * Counts a broken rule against a peer. A peer that breaks rules again and again is cut off. The default of
   * `quota` is `refusals`.
   */
  reproach(peer: string, quota?: ReproachQuota): void;
  /** The members that were cut off lately. */
  cutOffs(): CutOff[];
}

/** The reasons why a request to a peer has no answer. */
export type TransportErrorCode =
  | 'not-started'
  | 'not-connected'
  | 'not-authenticated'
  | 'refused'
  | 'too-large'
  | 'busy'
  | 'closed'
  | 'aborted';

/** An error of the network. The message is for a person. */
export class TransportError extends CodedError<TransportErrorCode> {
  override readonly name = 'TransportError';
  /** The peer in question, if there is one. */
  readonly peer: string | null;
  constructor(code: TransportErrorCode, message: string, peer: string | null = null) {
    super(code, message);
    this.peer = peer;
  }
}
