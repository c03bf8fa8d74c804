/**
 * Finding members on the LAN by mDNS. Held outside libp2p's own discovery on purpose: that reports each peer only
 * once, so a healed network would never be noticed, and it remembers strangers in the peer store.
 */
import type { PeerDiscovery, PeerInfo, Startable } from '@libp2p/interface';
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns';
import { mdnsServiceTag } from './constants.ts';

export class LanDiscovery implements Startable {
  readonly #mdns: PeerDiscovery & Partial<Startable>;

  /** @param onPeer called again with every answer, every ten seconds for each peer */
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
