/**
 * The roster gate: only members get a connection, and no member that is cut off. Whoever may not is refused
 * after Noise has shown who it is and before the muxer, so it never gets a stream; nothing about a stranger
 * enters the peer store.
 */
import type { ConnectionGater, PeerId } from '@libp2p/interface';

export function rosterGater(members: {
  isMember(peer: string): boolean;
  isCutOff(peer: string): boolean;
}): ConnectionGater {
  const isStranger = (peer: PeerId): boolean => !members.isMember(peer.toString());
  const isRefused = (peer: PeerId): boolean => isStranger(peer) || members.isCutOff(peer.toString());
  return {
    denyDialPeer: isRefused,
    denyInboundEncryptedConnection: isRefused,
    denyOutboundEncryptedConnection: isRefused,
    filterMultiaddrForPeer: (peer) => !isStranger(peer), // true keeps the address
  };
}
