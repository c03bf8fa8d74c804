/**
 * Counts everything that arrives on a connection, for all protocols together: bytes, and streams that the
 * other side opens.
 */
import assert from 'node:assert/strict';
import type { Connection, MultiaddrConnection, StreamMuxer } from '@libp2p/interface';

/**
 * The parts of a libp2p connection that carry bytes and streams. libp2p's interface does not show them, and
 * protocols see only streams that were negotiated. libp2p has its own listeners on them already, so further
 * listeners take nothing away.
 */
interface Carriers {
  maConn?: MultiaddrConnection;
  muxer?: StreamMuxer;
}

/** Calls the counters for all that arrives on the connection. `onBytes` gets a number of bytes. */
export function watchTraffic(
  connection: Connection,
  counters: { onBytes(count: number): void; onStream(): void },
): void {
  const { maConn, muxer } = connection as Connection & Carriers;
  assert(maConn !== undefined && muxer !== undefined, 'a libp2p connection carries a muxer on a socket');
  maConn.addEventListener('message', ({ data }) => counters.onBytes(data.byteLength));
  muxer.addEventListener('stream', () => counters.onStream());
}
