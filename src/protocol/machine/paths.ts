/**
 * By which path each kind of frame is taken (§4). A libp2p identity only opens connections: whoever has
 * stolen one without the epoch key may ask for what anybody may know, and may carry what others signed, and
 * nothing else of it counts.
 */
import type { Frame } from '../records/messages.ts';

/**
 * How a frame came: published by that libp2p identity, or sent on a link whose peer has proven its epoch key
 * or not.
 */
export type Path = 'gossip' | 'proven' | 'unproven';

/**
 * Signed inside, with the epoch key of its author: who brings it says nothing. Those of recoveries are never
 * published.
 */
const signedInside: readonly Path[] = ['gossip', 'proven'];
/**
 * Proves itself by its certificate or quorum, or only asks for what does: served before the handshake, never
 * published.
 */
const catchUp: readonly Path[] = ['proven', 'unproven'];
/** Asks for, or brings, what only a member is given: the link says who it is. */
const ofMembers: readonly Path[] = ['proven'];

const pathsOf: Readonly<Record<Frame['type'], readonly Path[]>> = {
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

export const isTaken = (type: Frame['type'], path: Path): boolean => pathsOf[type].includes(path);
