/** Every bound on what a program can make the API hold or do, for each of its two doors. */
import assert from 'node:assert/strict';
import { limits } from '../protocol/records/limits.ts';

/** `socket`: the file in the home, open to its owner. `tcp`: whoever reaches the address. */
export type Door = 'socket' | 'tcp';

interface DoorLimits {
  connectionsMax: number;
  /** Signatures and decryptions under way. */
  usesMax: number;
  eventStreamsMax: number;
  /** Of the history, in one answer. */
  epochsMax: number;
  /** Of one remote address, so that it leaves the others room; null: not counted. */
  ofOneRemote: {
    connectionsMax: number;
    usesMax: number;
    eventStreamsMax: number;
    requestsPerSecondMax: number;
  } | null;
  arrival: Arrival;
}

/** A request that has not arrived by then is given up. */
export interface Arrival {
  headersMs: number;
  requestMs: number;
  checkedEveryMs: number;
}

/** The owner's own programs on the socket may stand still with their machine. */
const patient: Arrival = { headersMs: 120_000, requestMs: 300_000, checkedEveryMs: 10_000 };
const brisk: Arrival = { headersMs: 10_000, requestMs: 30_000, checkedEveryMs: 1000 };

export const doorLimits: Readonly<Record<Door, DoorLimits>> = {
  socket: {
    connectionsMax: 1024,
    usesMax: 256,
    eventStreamsMax: 64,
    epochsMax: 1000,
    ofOneRemote: null,
    arrival: patient,
  },
  tcp: {
    connectionsMax: 256,
    usesMax: 64,
    eventStreamsMax: 32,
    epochsMax: 100,
    ofOneRemote: { connectionsMax: 64, usesMax: 16, eventStreamsMax: 8, requestsPerSecondMax: 200 },
    arrival: brisk,
  },
};

export const apiLimits = {
  /** Of a request, but for the two that carry frames of the protocol. */
  bodyBytesMax: 128 * 1024,
  frameBodyBytesMax: 16 * 1024 * 1024,
  headerBytesMax: 16 * 1024,
  keepAliveMs: 30_000,
  /** A connection on which nothing moves; above the longest wait for a signature. */
  idleMs: limits.useRequestLifetimeMs + 60_000,
  /** A word to waiting readers of events, so that dead connections show. */
  heartbeatMs: 15_000,
  /** Remote addresses that are counted at once. */
  remotesMax: 4096,
} as const;

const base64 = 4 / 3;
assert(apiLimits.bodyBytesMax > limits.requestBytesMax * base64);
assert(apiLimits.frameBodyBytesMax > limits.frameBytesMax * base64);
for (const { arrival } of Object.values(doorLimits)) assert(arrival.headersMs < arrival.requestMs);
assert(doorLimits.tcp.usesMax < doorLimits.tcp.connectionsMax);
assert(doorLimits.tcp.eventStreamsMax < doorLimits.tcp.connectionsMax);
for (const bounds of Object.values(doorLimits))
  for (const what of ['connectionsMax', 'usesMax', 'eventStreamsMax'] as const)
    assert(4 * (bounds.ofOneRemote?.[what] ?? 0) <= bounds[what]);
