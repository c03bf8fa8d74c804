/**
 * What the driver sees of the network: authenticated members, frames and requests. Two implementations keep this
 * contract (test/node/network/transport-contract.ts): libp2p, and the simulated network of the tests.
 */
import { CodedError } from '../../crypto/errors.ts';
import type { ReproachQuota } from './quotas.ts';

export interface TransportHandlers {
  /**
   * A frame of a member. `authenticated` is false until the peer has proven its epoch key on this connection
   * (protocol §4); before that only catch-up may be served. Of gossip it says nothing, and `from` is only the
   * libp2p identity that published: what counts of it must be signed inside. A returned promise asks for
   * patience: what else the peer sends directly shall wait at the peer until it resolves.
   */
  onMessage(
    from: string,
    frame: Uint8Array,
    via: 'gossip' | 'direct',
    authenticated: boolean,
  ): void | Promise<void>;
  /** A connection to `peer` is open; its handshake may still be running. */
  onConnect(peer: string): void;
  /** Both sides have proven their epoch keys on a connection. */
  onAuthenticated(peer: string): void;
  /** What the peer had proven counts no longer: its key was replaced, and it has not proven the new one in time. */
  onUnauthenticated(peer: string): void;
  onDisconnect(peer: string): void;
  /** Answers a request of an authenticated peer. When it rejects, the peer learns only that it was refused. */
  onRequest(from: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** Given by the driver. Each side signs both peer ids and the other's nonce with its listed epoch key (protocol §4). */
export interface EpochAuthenticator {
  /** null: this peer has no listed key yet. */
  prove(challenge: Uint8Array): { epoch: number; signature: Uint8Array } | null;
  check(peer: string, challenge: Uint8Array, proof: { epoch: number; signature: Uint8Array }): boolean;
}

export interface MemberAddress {
  /** libp2p peer id */
  peer: string;
  /** multiaddrs, with or without /p2p/… */
  addresses: string[];
}

/** A member that went beyond a quota: refused for a while that grows with every time. */
export interface CutOff {
  /** libp2p peer id */
  peer: string;
  /** What it did too much of, in words. */
  reason: string;
  /** How often, since it last behaved for long. */
  times: number;
  /** For how much longer it is refused; 0 when it may connect again. */
  forMs: number;
}

export interface Transport {
  readonly peerId: string;
  /** Own listen addresses, with /p2p/…; empty before `start`. */
  addresses(): string[];
  start(handlers: TransportHandlers, authenticator: EpochAuthenticator): Promise<void>;
  /** Closes everything; no handler is called afterwards. */
  stop(): Promise<void>;
  /**
   * Who may connect, and where they were last known to listen; may be called before `start`. Everyone else is refused
   * at the connection; connections of members that are no longer listed are closed and their addresses forgotten.
   */
  setMembers(members: readonly MemberAddress[]): Promise<void>;
  /** The newest addresses known of each other member, worth storing for the next start. */
  memberAddresses(): MemberAddress[];
  /** To all members. Never throws. The same bytes again within a few seconds may be delivered only once. */
  publish(frame: Uint8Array): void;
  /** Best effort, in order. What does not fit the bounded queue is dropped and counted. Never throws. */
  send(peer: string, frame: Uint8Array): void;
  /** @throws TransportError */
  request(peer: string, request: Uint8Array, options: { signal: AbortSignal }): Promise<Uint8Array>;
  connected(): string[];
  authenticated(): string[];
  /**
   * Runs the handshake again (after catch-up, or when keys changed). What was proven before counts for a
   * bounded time more, whatever comes of it, so that no frame of an honest peer is refused while one side
   * knows the new keys and the other does not yet; then only what was proven since. The first few run at
   * once, more of them are paced and become one.
   */
  reauthenticate(peer: string): void;
  /** Frames that `send` and `publish` could not queue, since the start. */
  dropped(): number;
  /**
   * A peer sent something that breaks a rule. Whoever does so again and again is cut off. `quota`: `refusals`
   * if not given.
   */
  reproach(peer: string, quota?: ReproachQuota): void;
  /** Members that were cut off lately. */
  cutOffs(): CutOff[];
}

export type TransportErrorCode =
  | 'not-started'
  | 'not-connected'
  | 'not-authenticated'
  | 'refused'
  | 'too-large'
  | 'busy'
  | 'closed'
  | 'aborted';

export class TransportError extends CodedError<TransportErrorCode> {
  override readonly name = 'TransportError';
  /** The peer that it is about, if any. */
  readonly peer: string | null;
  constructor(code: TransportErrorCode, message: string, peer: string | null = null) {
    super(code, message);
    this.peer = peer;
  }
}
