/** Protocol ids, and the bounds of the network layer. A changed wire format needs a new number at the id's end. */
import assert from 'node:assert/strict';
import { limits } from '../../protocol/records/limits.ts';

export const protocolIds = {
  handshake: '/holdfast/handshake/1',
  direct: '/holdfast/epoch/1',
  use: '/holdfast/use/1',
  addresses: '/holdfast/addresses/1',
  instance: '/holdfast/instance/1',
  lobby: '/holdfast/lobby/1',
} as const;

export const gossipTopic = (clusterId: string): string => `/holdfast/${clusterId}/1`;

/** mDNS label (at most 15 characters) by which the peers of one cluster find each other on a LAN. */
export const mdnsServiceTag = (clusterId: string): string =>
  `_hf${clusterId.slice(0, 12).toLowerCase()}._udp.local`;

export const networkLimits = {
  /** One direct frame. */
  frameBytesMax: limits.frameBytesMax,
  /** Larger publications go to every member directly: gossipsub bundles what a late peer asks for, and a bundle over
   * `gossipBundleBytesMax` deafens that connection. */
  gossipFrameBytesMax: 256 * 1024,
  gossipBundleBytesMax: 8 * 1024 * 1024,
  /** How long gossip knows a frame again. Longer than a frame can circulate, shorter than the protocol's re-sending. */
  gossipSeenMs: 3_000,

  /** Frames waiting for one peer; what exceeds either bound is dropped and counted. */
  queueFramesMax: 4_096,
  queueBytesMax: 32 * 1024 * 1024,
  /** A request to use a key, or its answer, with its header: 64 of them at once are 4 MiB, and not 256. */
  requestFrameBytesMax: limits.requestBytesMax + 5,
  /** Requests that wait for one peer's answers, and requests of one peer that we work on at once. */
  requestsWaitingMax: 1_024,
  requestsServedMax: 64,

  handshakeBytesMax: 4_096,
  handshakeTimeoutMs: 5_000,
  handshakeRetryMs: 1_000,
  /**
   * Handshakes that one side opens on one connection: the first few at once, so that an ordinary change is
   * proven at once.
   */
  handshakePace: { atOnce: 3, perSecond: 1 },
  streamOpenTimeoutMs: 5_000,

  instanceBytesMax: 64,
  /** How often two machines with one identity are asked whether both are still there … */
  twinCheckMs: 10_000,
  /** … and how long what a member told of another machine with ours holds without being told again. */
  twinForgottenMs: 40_000,

  addressesPerMemberMax: limits.addressesPerMemberMax,
  addressRecordBytesMax: 8 * 1024,
  addressRecordsMax: limits.membersMax + 1,
  addressFrameBytesMax: 512 * 1024,

  connectionsMax: 4 * limits.membersMax,
  /** Per host and second: a whole group may live on one machine, a stranger's host must not occupy us. */
  inboundConnectionsPerSecondMax: 100,
  inboundPendingMax: 64,
  inboundUpgradeTimeoutMs: 5_000,
  dialTimeoutMs: 5_000,
  addressDialTimeoutMs: 2_500,

  /** yamux: a paused stream still receives its window, so the read buffer must be able to hold one. */
  streamWindowBytesMax: 1024 * 1024,
  streamReadBufferBytesMax: 2 * 1024 * 1024,
  /** Pieces in which one frame may arrive: a frame in single bytes would occupy a hundred times its size. */
  chunksPerFrameMax: 16_384,
  /** From a frame's first piece to its last: half a frame must not be kept for ever. */
  frameTimeoutMs: 20_000,

  /** To one member at once: two when both dial, and two that are just ending. */
  connectionsPerMemberMax: 4,
  /** On one connection at once: ours are 12, libp2p's own 13. */
  streamsPerConnectionMax: 64,
} as const;

assert(networkLimits.gossipFrameBytesMax <= limits.frameBytesMax);
assert(2 * networkLimits.gossipFrameBytesMax <= networkLimits.gossipBundleBytesMax);
assert(networkLimits.frameBytesMax <= networkLimits.queueBytesMax);
assert(networkLimits.streamWindowBytesMax < networkLimits.streamReadBufferBytesMax);

/** How the liveness of connections is watched, and how lost ones are dialled again. */
export interface NetworkTimings {
  pingIntervalMs: number;
  pingTimeoutMsMin: number;
  pingTimeoutMsMax: number;
  redialMsMin: number;
  redialMsMax: number;
  /** The larger peer id dials; the smaller one only when nothing has arrived for so long. */
  smallerIdDelayMs: number;
  /** How long what a peer proved by an epoch key counts after that key was replaced (protocol §4). */
  reproofMs: number;
}

/** A dead connection is noticed within 0.5 to 1.5 s (measured). */
export const defaultTimings: NetworkTimings = {
  pingIntervalMs: 2_000,
  pingTimeoutMsMin: 2_000,
  pingTimeoutMsMax: 6_000,
  redialMsMin: 250,
  redialMsMax: 5_000,
  smallerIdDelayMs: 2_000,
  reproofMs: 10_000,
};

// A handshake that waits its turn is over before what it renews has ended.
assert(
  defaultTimings.reproofMs > 1000 / networkLimits.handshakePace.perSecond + networkLimits.handshakeTimeoutMs,
);
