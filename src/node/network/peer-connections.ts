/** The open connections of members, and the proofs made on each. */
import type { Connection } from '@libp2p/interface';

/** One open connection, and the state of its handshakes. */
export interface PeerConnection {
  readonly peer: string;
  readonly connection: Connection;
  /** The peer has proven its epoch key on this connection. Its frames are authenticated. */
  proven: boolean;
  /**
   * The peer has proven an epoch key on this connection, perhaps one that was replaced since. The peer may
   * still believe that this proof counts.
   */
  wasProven: boolean;
  /** Both sides have proven their epoch keys. */
  authenticated: boolean;
  /** The number of requests for a new proof. Only a handshake that began after a request can answer it. */
  renewals: number;
  /** The newest of these requests that a handshake has answered. */
  provenRenewals: number;
  /** Ends the wait for a new proof. Null while no proof is due. */
  endWait: (() => void) | null;
}

/** The open connections of all members. */
export class PeerConnections {
  readonly #connections = new Map<string, PeerConnection>(); // By connection id, the oldest first.

  /** Adds a new connection. `first` says whether it is the peer's only one. */
  add(connection: Connection): { peerConnection: PeerConnection; first: boolean } {
    const peer = connection.remotePeer.toString();
    const first = this.of(peer).length === 0;
    const unproven = { proven: false, wasProven: false, authenticated: false };
    const peerConnection: PeerConnection = {
      peer,
      connection,
      ...unproven,
      renewals: 0,
      provenRenewals: 0,
      endWait: null,
    };
    this.#connections.set(connection.id, peerConnection);
    return { peerConnection, first };
  }

  remove(connection: Connection): PeerConnection | undefined {
    const peerConnection = this.#connections.get(connection.id);
    this.#connections.delete(connection.id);
    return peerConnection;
  }

  get(connection: Connection): PeerConnection | undefined {
    return this.#connections.get(connection.id);
  }

  of(peer: string): PeerConnection[] {
    return [...this.#connections.values()].filter((peerConnection) => peerConnection.peer === peer);
  }

  /** The connection to use for a peer: the newest authenticated one, or else the newest. */
  best(peer: string): PeerConnection | undefined {
    const connections = this.of(peer);
    return connections.findLast((peerConnection) => peerConnection.authenticated) ?? connections.at(-1);
  }

  /** The peer ids of all connected members. */
  peers(): string[] {
    return [...new Set([...this.#connections.values()].map((peerConnection) => peerConnection.peer))];
  }

  /** The peer ids of members with an authenticated connection. */
  authenticated(): string[] {
    return this.peers().filter((peer) => this.best(peer)?.authenticated);
  }

  clear(): void {
    this.#connections.clear();
  }
}
