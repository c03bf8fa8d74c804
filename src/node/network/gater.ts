/**
 * The roster gate. Only members get a connection, and of those none that is cut off. A refused peer is closed
 * after Noise has shown its identity and before the muxer starts. So it never gets a stream. Nothing about a
 * stranger enters the peer store.
 */
import type { ConnectionGater, PeerId } from '@libp2p/interface';

/** The gate in the form that libp2p calls. */
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
    filterMultiaddrForPeer: (peer) => !isStranger(peer), // True keeps the address.
  };
}
