/**
 * The paths by which each kind of frame is accepted (§4). A libp2p identity only opens connections. A thief
 * of an identity, without the epoch key, may ask for public things and may pass on what others signed.
 * Nothing else from the thief counts.
 */
import type { Frame } from '../records/change-messages.ts';

/**
 * The way in which a frame came: published by a libp2p identity, or sent on a connection whose peer has
 * proven its epoch key or has not.
 */
export type FramePath = 'gossip' | 'proven' | 'unproven';

/**
 * Frames that their author signed with its epoch key. The peer that brings one does not matter. Frames of
 * recoveries are never published.
 */
const signedInside: readonly FramePath[] = ['gossip', 'proven'];
/**
 * Frames that a certificate or a quorum proves, and requests for such frames. They are served before the
 * handshake, and never published.
 */
const catchUp: readonly FramePath[] = ['proven', 'unproven'];
/** Requests for things that only members get, and these things. The connection proves the peer. */
const ofMembers: readonly FramePath[] = ['proven'];

const pathsOf: Readonly<Record<Frame['type'], readonly FramePath[]>> = {
  message: signedInside,
  contradiction: signedInside,
  accusation: signedInside,
  summary: catchUp,
  links: catchUp,
  retire: catchUp,
  publics: ofMembers,
  recovery: ofMembers,
  recall: ofMembers,
  recalled: ofMembers,
};

export const isAcceptedBy = (type: Frame['type'], path: FramePath): boolean => pathsOf[type].includes(path);
