/** A program that speaks raw libp2p with any identity, and proves an epoch key where it has one. */
import { setTimeout as delay } from 'node:timers/promises';
import { noise } from '@chainsafe/libp2p-noise';
import type { Connection, Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2p } from 'libp2p';
import type { Identity } from '../../../src/node/home/identity.ts';
import { silentLog } from '../../../src/node/log.ts';
import { Handshake } from '../../../src/node/network/handshake.ts';
import { PeerConnections } from '../../../src/node/network/peer-connections.ts';
import type { EpochAuthenticator } from '../../../src/node/network/transport.ts';

export class RawMember {
  readonly node: Libp2p;

  private constructor(node: Libp2p) {
    this.node = node;
  }

  static async start(identity: Identity): Promise<RawMember> {
    const node = await createLibp2p({
      privateKey: identity,
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ maxOutboundStreams: 100_000 })],
      connectionMonitor: { enabled: false },
    });
    return new RawMember(node);
  }

  dial(addresses: readonly string[]): Promise<Connection> {
    const options = { force: true, signal: AbortSignal.timeout(10_000) };
    return this.node.dial(
      addresses.map((address) => multiaddr(address)),
      options,
    );
  }

  /** Resolves when both sides have said what they think of each other's epoch keys: whether both accept. */
  prove(connection: Connection, clusterId: string, authenticator: EpochAuthenticator): Promise<boolean> {
    const connections = new PeerConnections();
    const { peerConnection } = connections.add(connection);
    return new Promise((resolve) => {
      const handshake = new Handshake({
        node: this.node,
        clusterId,
        connections,
        authenticator,
        spend: () => true,
        onAuthenticated() {},
        onUnauthenticated() {},
        reproofMs: 10_000,
        log: {
          ...silentLog,
          debug: (fields: { authenticated?: boolean }) => {
            if (fields.authenticated !== undefined) resolve(fields.authenticated);
          },
        },
      });
      handshake.run(peerConnection);
    });
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }
}

interface Ending {
  status: string;
  addEventListener(type: 'close', listener: () => void): void;
}

/** Resolves when the other side, or we, have ended it. */
export const closed = (ending: Ending): Promise<void> =>
  new Promise<void>((resolve) => {
    if (ending.status !== 'open') resolve();
    else ending.addEventListener('close', () => resolve());
  });

/** What we let wait for the other side: libp2p's own `onDrain` waits only the first time. */
const waitingBytesMax = 256 * 1024;

/** Writes when the other side reads; false when the stream is over. */
export async function write(stream: Stream, bytes: Uint8Array): Promise<boolean> {
  while (stream.status === 'open' && stream.writeBufferLength > waitingBytesMax) await delay(5);
  if (stream.status !== 'open') return false;
  try {
    stream.send(bytes);
    await new Promise((resolve) => setImmediate(resolve));
    return true;
  } catch {
    return false;
  }
}

/** Writes bytes again and again until the stream or its connection is over. */
export async function pour(stream: Stream, bytes: Uint8Array, written = (): void => {}): Promise<void> {
  while (await write(stream, bytes)) written();
}

/** A frame as it travels: its length as an unsigned varint, then its bytes. */
export function prefixed(bytes: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let left = bytes.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) return new Uint8Array([...length, ...bytes]);
  }
}
