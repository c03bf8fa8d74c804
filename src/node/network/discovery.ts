/**
 * Finds members on the LAN by mDNS. It is not part of libp2p's own discovery. That one reports each peer only
 * once, so nobody would notice a network that works again, and it remembers strangers in the peer store.
 */
import type { PeerDiscovery, PeerInfo, Startable } from '@libp2p/interface';
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns';
import { mdnsServiceTag } from './constants.ts';

/** Announces this peer on the LAN, and reports other peers there. Their answers are not signed. */
export class LanDiscovery implements Startable {
  readonly #mdns: PeerDiscovery & Partial<Startable>;

  /** `onPeer` is called with every answer, every ten seconds for each peer. */
  constructor(components: MulticastDNSComponents, clusterId: string, onPeer: (peer: PeerInfo) => void) {
    this.#mdns = mdns({ serviceTag: mdnsServiceTag(clusterId) })(components);
    this.#mdns.addEventListener('peer', ({ detail }) => onPeer(detail));
  }

  async start(): Promise<void> {
    await this.#mdns.start?.();
  }

  async stop(): Promise<void> {
    await this.#mdns.stop?.();
  }
}
