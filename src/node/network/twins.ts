/**
 * Finds two machines with one identity: a home was copied, or restored from a backup, and runs beside the
 * original. A member that meets both machines tells both. The libp2p identity is enough for that, because a
 * copy soon lacks the member's newest epoch key.
 *
 *     opener                      answerer
 *     instance, twin       →
 *                          ←      instance, twin
 *
 * A daemon draws its `instance` anew at each start. `twin` is true when the sender lately met another
 * instance of the receiver. Two open connections with different instances need not be two machines. One of
 * them may be a dead connection of the same daemon before it started again. So both connections are asked
 * again, and only answers count.
 */
import { randomBytes } from 'node:crypto';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import { decode, encode } from 'cborg';
import { z } from 'zod';
import type { Log } from '../log.ts';
import { networkLimits, protocolIds } from './constants.ts';
import type { PeerConnection, PeerConnections } from './peer-connections.ts';

const instanceBytes = 16;
const helloSchema = z.tuple([
  z.instanceof(Uint8Array).refine(({ length }) => length === instanceBytes),
  z.boolean(),
]);

/** A member of which this peer meets two instances. */
export interface Twin {
  /** libp2p peer id */
  peer: string;
  /** The address of each instance, and whether it has proven the member's newest epoch key. */
  places: Array<{ address: string; authenticated: boolean }>;
}

interface TwinsComponents {
  node: Pick<Libp2p, 'handle' | 'unhandle'>;
  connections: PeerConnections;
  /** False when the peer has opened too many. */
  spend(peer: string, quota: 'handshakes'): boolean;
  onChange(): void;
  log: Log;
}

/** Tells other members this daemon's instance, and learns theirs. */
export class Twins {
  readonly #components: TwinsComponents;
  /** The instance at the other end of an open connection, once the peer has told it. */
  readonly #instances = new WeakMap<PeerConnection, string>();
  readonly #instance = new Uint8Array(randomBytes(instanceBytes));
  /** By peer. */
  readonly #met = new Map<string, Twin>();
  /** The members that say that they meet another instance of this peer. The timer ends their word. */
  readonly #told = new Map<string, NodeJS.Timeout>();
  readonly #checks = new Map<string, NodeJS.Timeout | 'under way'>();
  readonly #stopped = new AbortController();

  constructor(components: TwinsComponents) {
    this.#components = components;
  }

  async start(): Promise<void> {
    const answer = (stream: Stream, connection: Connection): Promise<void> =>
      this.#answer(stream, connection);
    await this.#components.node.handle(protocolIds.instance, answer, { maxInboundStreams: 2 });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const timer of [...this.#told.values(), ...this.#checks.values()])
      if (timer !== 'under way') clearTimeout(timer);
    await this.#components.node.unhandle(protocolIds.instance);
  }

  /** The members of which this peer meets two instances. */
  met(): Twin[] {
    return [...this.#met.values()];
  }

  /** The peer ids of the members that meet another instance of this peer. */
  toldBy(): string[] {
    return [...this.#told.keys()];
  }

  /** Exchanges instances on a connection that this side opened. */
  async greet(peerConnection: PeerConnection): Promise<void> {
    const signal = this.#signal();
    let stream: Stream | undefined;
    try {
      stream = await peerConnection.connection.newStream(protocolIds.instance, { signal });
      const frames = lpStream(stream, { maxDataLength: networkLimits.instanceBytesMax });
      await frames.write(this.#hello(peerConnection), { signal });
      this.#learn(peerConnection, (await frames.read({ signal })).slice());
      await stream.close({ signal });
    } catch (err) {
      this.#instances.delete(peerConnection);
      stream?.abort(err instanceof Error ? err : new Error('the instance was not told'));
      this.#components.log.debug({ peer: peerConnection.peer, err }, 'the instance was not told');
    }
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const peerConnection = this.#components.connections.get(connection);
    if (!peerConnection || !this.#components.spend(peerConnection.peer, 'handshakes'))
      return stream.abort(new Error('the connection is not known, or no longer'));
    const signal = this.#signal();
    try {
      const frames = lpStream(stream, { maxDataLength: networkLimits.instanceBytesMax });
      const hello = (await frames.read({ signal })).slice();
      await frames.write(this.#hello(peerConnection), { signal });
      await stream.close({ signal });
      this.#learn(peerConnection, hello);
    } catch (err) {
      stream.abort(err instanceof Error ? err : new Error('the instance was not told'));
      this.#components.log.debug({ peer: peerConnection.peer, err }, 'the instance was not told');
    }
  }

  #hello({ peer }: PeerConnection): Uint8Array {
    return encode([this.#instance, this.#met.has(peer)]);
  }

  /** Takes a peer's hello. @throws Error when the bytes are no hello */
  #learn(peerConnection: PeerConnection, bytes: Uint8Array): void {
    const [instance, twin] = helloSchema.parse(decode(bytes));
    if (this.#stopped.signal.aborted) return;
    this.#instances.set(peerConnection, Buffer.from(instance).toString('hex'));
    this.#hear(peerConnection.peer, twin);
    if (this.#instancesOf(peerConnection.peer).size > 1 && !this.#checks.has(peerConnection.peer))
      void this.#check(peerConnection.peer);
  }

  #hear(from: string, twin: boolean): void {
    const before = this.#told.get(from);
    clearTimeout(before);
    if (twin) {
      const forget = (): void => this.#hear(from, false);
      this.#told.set(from, setTimeout(forget, networkLimits.twinForgottenMs).unref());
    } else this.#told.delete(from);
    if (twin !== (before !== undefined)) this.#components.onChange();
  }

  #instancesOf(peer: string): Map<string, PeerConnection> {
    const connections = this.#components.connections
      .of(peer)
      .filter(({ connection }) => connection.status === 'open');
    return new Map(
      connections.flatMap((peerConnection): [string, PeerConnection][] => {
        const instance = this.#instances.get(peerConnection);
        return instance === undefined ? [] : [[instance, peerConnection]];
      }),
    );
  }

  /** Asks the peer again on each of its connections, and goes on as long as two instances answer. */
  async #check(peer: string): Promise<void> {
    this.#checks.set(peer, 'under way');
    for (const peerConnection of this.#components.connections.of(peer)) await this.greet(peerConnection);
    if (this.#stopped.signal.aborted) return;
    const answered = this.#instancesOf(peer);
    const known = this.#met.has(peer);
    if (answered.size > 1) {
      const places = [...answered.values()].map(({ connection, authenticated }) => ({
        address: String(connection.remoteAddr).replace(/\/p2p\/.*/, ''),
        authenticated,
      }));
      this.#met.set(peer, { peer, places });
      if (!known) {
        this.#components.log.warn(
          { peer, addresses: places.map(({ address }) => address) },
          'two machines have one identity',
        );
        this.#checks.delete(peer);
        this.#components.onChange();
        return this.#check(peer); // The next greetings tell both machines.
      }
    } else if (known) {
      this.#met.delete(peer);
      this.#components.log.info({ peer }, 'one machine has this identity again');
      this.#components.onChange();
    }
    if (answered.size < 2) {
      this.#checks.delete(peer);
      return;
    }
    const again = setTimeout(() => void this.#check(peer), networkLimits.twinCheckMs).unref();
    this.#checks.set(peer, again);
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(networkLimits.streamOpenTimeoutMs)]);
  }
}
