/**
 * What one member may ask of us, per protocol: more than an honest member of the largest group ever needs,
 * and little enough that the others do not feel it. A member that goes beyond is cut off (`quota-enforcer.ts`), but
 * for `requests`, which wait.
 */
import assert from 'node:assert/strict';
import { limits } from '../../protocol/records/limits.ts';
import type { Rate } from './bucket.ts';
import { networkLimits } from './constants.ts';

interface Quota extends Rate {
  /** What a log and `status` say of a member that went beyond. */
  excess: string;
}

const mebibyte = 1024 * 1024;

export const quotas = {
  /** Every protocol. */
  connections: { atOnce: 32, perSecond: 1, excess: 'too many connections' },
  bytes: { atOnce: 128 * mebibyte, perSecond: 8 * mebibyte, excess: 'too many bytes' },
  streams: { atOnce: 1024, perSecond: 64, excess: 'too many streams' },
  /**
   * /holdfast/handshake: as many as `handshakePace` allows each connection, so that a member that catches up,
   * and fails to prove itself on the way, passes no bound; and /holdfast/instance: one per connection, and a
   * few while two machines have one identity.
   */
  handshakes: { atOnce: 160, perSecond: 10, excess: 'too many handshakes' },
  /** /holdfast/addresses: news of every member comes on a stream of its own. */
  addressNews: { atOnce: 512, perSecond: 16, excess: 'too many address records' },
  /** /holdfast/epoch: a full queue at once, as after a partition, and more while it drains. */
  directFrames: {
    atOnce: 2 * networkLimits.queueFramesMax,
    perSecond: 250,
    excess: 'too many direct frames',
  },
  /** The gossip topic: what a member publishes itself, and what it passes on of others. */
  gossipOwn: { atOnce: 4096, perSecond: 90, excess: 'too many publications' },
  gossipRelayed: { atOnce: 32_768, perSecond: 2000, excess: 'too many publications of others' },
  /** Every large message of anybody is announced and acknowledged once to each neighbour. */
  gossipControl: { atOnce: 32_768, perSecond: 2000, excess: 'too many gossip control messages' },
  /** /holdfast/use: a coordinator may be as busy as we are, so the stream only waits. */
  requests: { atOnce: 1024, perSecond: 1000, excess: 'too many requests' },
  /** Whatever breaks a rule: messages that the core rejects, requests that no honest member passes on. */
  refusals: { atOnce: 128, perSecond: 1, excess: 'too much that was refused' },
  /**
   * Requests that an honest member may pass on for a while, because its newest value or its clock is another
   * than ours, or ask for itself, because it has not heard yet of the change that replaced its epoch key.
   * What a busy one passes on while either side catches up fits.
   */
  refusedUses: { atOnce: 1024, perSecond: 50, excess: 'too many requests that were refused' },
} as const satisfies Record<string, Quota>;
export type QuotaName = keyof typeof quotas;
/** What a reproach may count against. */
export type ReproachQuota = 'refusals' | 'refusedUses';

/** The first cut-off's length; each further one is twice as long, up to the longest. */
export const cutOffMsMin = 2_000;
export const cutOffMsMax = 10 * 60_000;
/** Without an offence for so long after a cut-off, the next one is a first one again. */
export const cutOffForgottenMs = 30 * 60_000;

const faultsMost = Math.floor((limits.membersMax - 1) / 3);
const { connectionsPerMemberMax, handshakePace, twinCheckMs } = networkLimits;
/** Of both kinds, on each new connection. */
const handshakesAtOnce = handshakePace.atOnce + 1;
// An honest member opens no more handshakes than it may, however often it connects and adopts.
assert(quotas.handshakes.atOnce >= handshakesAtOnce * quotas.connections.atOnce);
assert(
  quotas.handshakes.perSecond >=
    handshakesAtOnce * quotas.connections.perSecond +
      connectionsPerMemberMax * (handshakePace.perSecond + 1000 / twinCheckMs),
);
// Nobody may get an honest member cut off by giving it something to pass on.
assert(quotas.gossipRelayed.perSecond >= faultsMost * quotas.gossipOwn.perSecond);
// What an honest member's queue holds is no offence, nor are two of the longest frames a second.
assert(quotas.directFrames.atOnce > networkLimits.queueFramesMax);
assert(quotas.bytes.atOnce >= 2 * networkLimits.queueBytesMax);
assert(quotas.bytes.perSecond >= 2 * limits.frameBytesMax);
assert(quotas.addressNews.atOnce > networkLimits.addressRecordsMax);
assert(cutOffMsMin < cutOffMsMax && cutOffMsMax < cutOffForgottenMs);
