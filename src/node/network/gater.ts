/**
 * The roster gate: only members get a connection. A stranger is refused after Noise has shown who it is and before
 * the muxer, so it never gets a stream, and nothing about it enters the peer store.
 */
import type { ConnectionGater, PeerId } from '@libp2p/interface';

export function rosterGater(isMember: (peer: string) => boolean): ConnectionGater {
  const isStranger = (peer: PeerId): boolean => !isMember(peer.toString());
  return {
    denyDialPeer: isStranger,
    denyInboundEncryptedConnection: isStranger,
    denyOutboundEncryptedConnection: isStranger,
    filterMultiaddrForPeer: (peer) => !isStranger(peer), // true keeps the address
  };
}
