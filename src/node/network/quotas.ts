/**
 * The quotas of one member, for each protocol. An honest member of the largest group never needs more. The
 * quotas are also so small that the others do not feel a member that uses them up. A member that passes a
 * quota is cut off (`quota-enforcer.ts`). Only `requests` wait instead.
 */
import assert from 'node:assert/strict';
import { limits } from '../../protocol/records/limits.ts';
import type { Rate } from './bucket.ts';
import { networkLimits } from './constants.ts';

interface Quota extends Rate {
  /** The words of log and `status` for a member that passed this quota. */
  excess: string;
}

const mebibyte = 1024 * 1024;

/** The quotas by name. `bytes` counts bytes, and every other quota counts things. */
export const quotas = {
  /** Any protocol. */
  connections: { atOnce: 32, perSecond: 1, excess: 'too many connections' },
  bytes: { atOnce: 128 * mebibyte, perSecond: 8 * mebibyte, excess: 'too many bytes' },
  streams: { atOnce: 1024, perSecond: 64, excess: 'too many streams' },
  /**
   * /holdfast/handshake: as many as `handshakePace` allows on each connection. So a member that catches up
   * passes no bound, although its proofs fail on the way.
   *
   * /holdfast/instance: one for each connection, and a few while two machines have one identity.
   */
  handshakes: { atOnce: 160, perSecond: 10, excess: 'too many handshakes' },
  /** /holdfast/addresses: the news of each member comes on a stream of its own. */
  addressNews: { atOnce: 512, perSecond: 16, excess: 'too many address records' },
  /** /holdfast/epoch: a full queue at once, as after a partition, and more while the queue empties. */
  directFrames: {
    atOnce: 2 * networkLimits.queueFramesMax,
    perSecond: 250,
    excess: 'too many direct frames',
  },
  /**
   * The gossip topic: the publications of a member itself, and the publications of others that it passes on.
   */
  gossipOwn: { atOnce: 4096, perSecond: 90, excess: 'too many publications' },
  gossipRelayed: { atOnce: 32_768, perSecond: 2000, excess: 'too many publications of others' },
  /** Each neighbour announces every large message once and acknowledges it once, also messages of others. */
  gossipControl: { atOnce: 32_768, perSecond: 2000, excess: 'too many gossip control messages' },
  /** /holdfast/use: an honest coordinator may be as busy as this peer, so its stream only waits. */
  requests: { atOnce: 1024, perSecond: 1000, excess: 'too many requests' },
  /**
   * Anything that breaks a rule: messages that the core rejects, and requests that no honest member passes
   * on.
   */
  refusals: { atOnce: 128, perSecond: 1, excess: 'too much that was refused' },
  /**
   * Refused requests that an honest member may send for a while. Its newest value or its clock may differ
   * from this peer's. Or it has not heard yet of the change that replaced its epoch key. The quota has room
   * for the requests of a busy member while either side catches up.
   */
  refusedUses: { atOnce: 1024, perSecond: 50, excess: 'too many requests that were refused' },
} as const satisfies Record<string, Quota>;
export type QuotaName = keyof typeof quotas;
/** The quotas that a reproach can count against. */
export type ReproachQuota = 'refusals' | 'refusedUses';

/**
 * The length of the first cut-off, in milliseconds. Each further cut-off is twice as long, up to the longest.
 */
export const cutOffMsMin = 2_000;
export const cutOffMsMax = 10 * 60_000;
/**
 * A member that breaks no quota for so long after a cut-off begins with the shortest cut-off again.
 * Milliseconds.
 */
export const cutOffForgottenMs = 30 * 60_000;

const faultsMost = Math.floor((limits.membersMax - 1) / 3);
const { connectionsPerMemberMax, handshakePace, twinCheckMs } = networkLimits;
/** The handshakes of both kinds on a new connection. */
const handshakesAtOnce = handshakePace.atOnce + 1;
// An honest member stays below the quota, however often it connects and adopts a value.
assert(quotas.handshakes.atOnce >= handshakesAtOnce * quotas.connections.atOnce);
assert(
  quotas.handshakes.perSecond >=
    handshakesAtOnce * quotas.connections.perSecond +
      connectionsPerMemberMax * (handshakePace.perSecond + 1000 / twinCheckMs),
);
// No liar can have an honest member cut off by giving it publications to pass on.
assert(quotas.gossipRelayed.perSecond >= faultsMost * quotas.gossipOwn.perSecond);
// A full queue of an honest member passes no quota, and neither do two of the longest frames in a second.
assert(quotas.directFrames.atOnce > networkLimits.queueFramesMax);
assert(quotas.bytes.atOnce >= 2 * networkLimits.queueBytesMax);
assert(quotas.bytes.perSecond >= 2 * limits.frameBytesMax);
assert(quotas.addressNews.atOnce > networkLimits.addressRecordsMax);
assert(cutOffMsMin < cutOffMsMax && cutOffMsMax < cutOffForgottenMs);
