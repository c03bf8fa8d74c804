/**
 * Everything that arrives on a connection, of whatever protocol: its bytes, and the streams that the other
 * side opens.
 */
import assert from 'node:assert/strict';
import type { Connection, MultiaddrConnection, StreamMuxer } from '@libp2p/interface';

/**
 * libp2p shows neither on its interface, and protocols see only what was negotiated; its connections carry both. Here
 * they have their own listeners already, so that ours take nothing away.
 */
interface Carriers {
  maConn?: MultiaddrConnection;
  muxer?: StreamMuxer;
}

export function watchTraffic(
  connection: Connection,
  counters: { onBytes(count: number): void; onStream(): void },
): void {
  const { maConn, muxer } = connection as Connection & Carriers;
  assert(maConn !== undefined && muxer !== undefined, 'a libp2p connection carries a muxer on a socket');
  maConn.addEventListener('message', ({ data }) => counters.onBytes(data.byteLength));
  muxer.addEventListener('stream', () => counters.onStream());
}
