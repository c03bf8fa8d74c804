/** The open connections of members, and what has been proven on each. */
import type { Connection } from '@libp2p/interface';

export interface Link {
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

export class Links {
  readonly #links = new Map<string, Link>(); // by connection id, oldest first

  /** The link of a new connection, and whether it is the peer's first. */
  add(connection: Connection): { link: Link; first: boolean } {
    const peer = connection.remotePeer.toString();
    const first = this.of(peer).length === 0;
    const unproven = { proven: false, wasProven: false, authenticated: false };
    const link: Link = { peer, connection, ...unproven, renewals: 0, provenRenewals: 0, endWait: null };
    this.#links.set(connection.id, link);
    return { link, first };
  }

  remove(connection: Connection): Link | undefined {
    const link = this.#links.get(connection.id);
    this.#links.delete(connection.id);
    return link;
  }

  get(connection: Connection): Link | undefined {
    return this.#links.get(connection.id);
  }

  of(peer: string): Link[] {
    return [...this.#links.values()].filter((link) => link.peer === peer);
  }

  /** The link to use for a peer: an authenticated one, else the newest. */
  best(peer: string): Link | undefined {
    const links = this.of(peer);
    return links.findLast((link) => link.authenticated) ?? links.at(-1);
  }

  peers(): string[] {
    return [...new Set([...this.#links.values()].map((link) => link.peer))];
  }

  authenticated(): string[] {
    return this.peers().filter((peer) => this.best(peer)?.authenticated);
  }

  clear(): void {
    this.#links.clear();
  }
}
