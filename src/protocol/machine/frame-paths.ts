/**
 * By which path each kind of frame is taken (§4). A libp2p identity only opens connections: whoever has
 * stolen one without the epoch key may ask for what anybody may know, and may carry what others signed, and
 * nothing else of it counts.
 */
import type { Frame } from '../records/change-messages.ts';

/**
 * How a frame came: published by that libp2p identity, or sent on a connection whose peer has proven its epoch key
 * or not.
 */
export type FramePath = 'gossip' | 'proven' | 'unproven';

/**
 * Signed inside, with the epoch key of its author: who brings it says nothing. Those of recoveries are never
 * published.
 */
const signedInside: readonly FramePath[] = ['gossip', 'proven'];
/**
 * Proves itself by its certificate or quorum, or only asks for what does: served before the handshake, never
 * published.
 */
const catchUp: readonly FramePath[] = ['proven', 'unproven'];
/** Asks for, or brings, what only a member is given: the connection says who it is. */
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
