/** The open connections of members, and what has been proven on each. */
import type { Connection } from '@libp2p/interface';

export interface PeerConnection {
  readonly peer: string;
  readonly connection: Connection;
  /** The peer has proven its epoch key on this connection: what arrives is authenticated. */
  proven: boolean;
  /** It once has, perhaps by a key that was replaced since: it may know no better than that this still counts. */
  wasProven: boolean;
  /** Both sides have. */
  authenticated: boolean;
  /** How often it was asked to prove itself anew; a handshake that began before the last time does not answer it. */
  renewals: number;
  /** The last of these that a handshake answered which began after it. */
  provenRenewals: number;
  /** Ends the wait for that proof; null while none is due. */
  endWait: (() => void) | null;
}

export class PeerConnections {
  readonly #connections = new Map<string, PeerConnection>(); // by connection id, oldest first

  /** The entry of a new connection, and whether it is the peer's first. */
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

  /** The connection to use for a peer: an authenticated one, else the newest. */
  best(peer: string): PeerConnection | undefined {
    const connections = this.of(peer);
    return connections.findLast((peerConnection) => peerConnection.authenticated) ?? connections.at(-1);
  }

  peers(): string[] {
    return [...new Set([...this.#connections.values()].map((peerConnection) => peerConnection.peer))];
  }

  authenticated(): string[] {
    return this.peers().filter((peer) => this.best(peer)?.authenticated);
  }

  clear(): void {
    this.#connections.clear();
  }
}
