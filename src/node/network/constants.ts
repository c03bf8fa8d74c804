/**
 * Protocol ids, and the bounds of the network layer. An id ends with a number, and a changed wire format
 * takes the next number.
 */
import assert from 'node:assert/strict';
import { limits } from '../../protocol/records/limits.ts';

/** The libp2p protocol ids of Holdfast. */
export const protocolIds = {
  handshake: '/holdfast/handshake/1',
  direct: '/holdfast/epoch/1',
  use: '/holdfast/use/1',
  addresses: '/holdfast/addresses/1',
  instance: '/holdfast/instance/1',
  lobby: '/holdfast/lobby/1',
} as const;

/** The gossip topic of a cluster. */
export const gossipTopic = (clusterId: string): string => `/holdfast/${clusterId}/1`;

/** The mDNS label (at most 15 characters) by which the peers of one cluster find each other on a LAN. */
export const mdnsServiceTag = (clusterId: string): string =>
  `_hf${clusterId.slice(0, 12).toLowerCase()}._udp.local`;

/** The bounds of this layer. Names say the unit: `…BytesMax` in bytes, `…Ms` in milliseconds. */
export const networkLimits = {
  /** The longest direct frame. */
  frameBytesMax: limits.frameBytesMax,
  /**
   * The longest publication that goes by gossip. A longer one goes to every member directly. Gossipsub
   * bundles the messages that a late peer asks for, and a bundle over `gossipBundleBytesMax` makes that
   * connection deaf.
   */
  gossipFrameBytesMax: 256 * 1024,
  gossipBundleBytesMax: 8 * 1024 * 1024,
  /**
   * Gossip recognizes a frame again for so long. That is longer than a frame can circulate, and shorter than
   * the protocol's interval of sending again.
   */
  gossipSeenMs: 3_000,

  /** Bounds on the frames that wait for one peer. A frame over either bound is dropped and counted. */
  queueFramesMax: 4_096,
  queueBytesMax: 32 * 1024 * 1024,
  /**
   * The longest request to use a key, or answer to one, with its header. So 64 requests at once have 4 MiB at
   * most.
   */
  requestFrameBytesMax: limits.requestBytesMax + 5,
  /**
   * At most so many requests wait for one peer's answers, and at most so many requests of one peer are served
   * at once.
   */
  requestsWaitingMax: 1_024,
  requestsServedMax: 64,

  handshakeBytesMax: 4_096,
  handshakeTimeoutMs: 5_000,
  handshakeRetryMs: 1_000,
  /**
   * The handshakes that one side opens on one connection. The first few run at once, so an ordinary change of
   * keys is proven without a wait.
   */
  handshakePace: { atOnce: 3, perSecond: 1 },
  streamOpenTimeoutMs: 5_000,

  instanceBytesMax: 64,
  /** The pause between two checks of a member that two machines speak for. */
  twinCheckMs: 10_000,
  /**
   * A member may report that it meets another machine with this peer's identity. The report holds for so long
   * unless it is repeated.
   */
  twinForgottenMs: 40_000,

  addressesPerMemberMax: limits.addressesPerMemberMax,
  addressRecordBytesMax: 8 * 1024,
  addressRecordsMax: limits.membersMax + 1,
  addressFrameBytesMax: 512 * 1024,

  connectionsMax: 4 * limits.membersMax,
  /**
   * Per host and second. A whole group may live on one machine, and a stranger's host must not keep this peer
   * busy.
   */
  inboundConnectionsPerSecondMax: 100,
  inboundPendingMax: 64,
  inboundUpgradeTimeoutMs: 5_000,
  dialTimeoutMs: 5_000,
  addressDialTimeoutMs: 2_500,

  /** yamux still delivers its window to a paused stream, so the read buffer must hold more than a window. */
  streamWindowBytesMax: 1024 * 1024,
  streamReadBufferBytesMax: 2 * 1024 * 1024,
  /**
   * The most pieces in which one frame may arrive. A frame in single bytes would take a hundred times its
   * size in memory.
   */
  chunksPerFrameMax: 16_384,
  /**
   * The longest time from a frame's first piece to its last. Half a frame must not stay in memory for ever.
   */
  frameTimeoutMs: 20_000,

  /** Connections to one member at once: two when both sides dial, and two more that are just ending. */
  connectionsPerMemberMax: 4,
  /** Streams on one connection at once. Holdfast uses 12, and libp2p uses 13. */
  streamsPerConnectionMax: 64,
} as const;

assert(networkLimits.gossipFrameBytesMax <= limits.frameBytesMax);
assert(2 * networkLimits.gossipFrameBytesMax <= networkLimits.gossipBundleBytesMax);
assert(networkLimits.frameBytesMax <= networkLimits.queueBytesMax);
assert(networkLimits.streamWindowBytesMax < networkLimits.streamReadBufferBytesMax);

/**
 * The timings that watch the liveness of connections, and of dialling lost ones again. All are in
 * milliseconds.
 */
export interface NetworkTimings {
  pingIntervalMs: number;
  pingTimeoutMsMin: number;
  pingTimeoutMsMax: number;
  redialMsMin: number;
  redialMsMax: number;
  /**
   * The peer with the larger id dials. The peer with the smaller id waits so long for that dial before it
   * dials itself.
   */
  smallerIdDelayMs: number;
  /** After a key was replaced, its proof still counts for so long (protocol §4). */
  reproofMs: number;
}

/** With these timings a dead connection is noticed within 0.5 to 1.5 s (measured). */
export const defaultTimings: NetworkTimings = {
  pingIntervalMs: 2_000,
  pingTimeoutMsMin: 2_000,
  pingTimeoutMsMax: 6_000,
  redialMsMin: 250,
  redialMsMax: 5_000,
  smallerIdDelayMs: 2_000,
  reproofMs: 10_000,
};

// A handshake that waits its turn ends before the proof that it renews runs out.
assert(
  defaultTimings.reproofMs > 1000 / networkLimits.handshakePace.perSecond + networkLimits.handshakeTimeoutMs,
);
