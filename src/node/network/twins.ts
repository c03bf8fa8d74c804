/**
 * Two machines with one identity: a home that was copied, or restored from a backup, and runs beside the
 * original. Whoever meets both tells both; the libp2p identity alone is enough for it, because a copy soon
 * lacks the member's newest epoch key.
 *
 *     opener                      answerer
 *     instance, twin       →
 *                          ←      instance, twin
 *
 * `instance` is drawn anew whenever a daemon starts. `twin`: the sender lately met another instance of the
 * receiver, too. Two open connections with different instances may also be a daemon that was restarted and
 * the dead connection of its life before: so each of them is asked again, and only what both answer counts.
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

/** A member of whom this peer meets two instances. */
export interface Twin {
  /** libp2p peer id */
  peer: string;
  /** Where each instance is, and whether it has proven the member's newest epoch key. */
  places: Array<{ address: string; authenticated: boolean }>;
}

interface TwinsComponents {
  node: Pick<Libp2p, 'handle' | 'unhandle'>;
  connections: PeerConnections;
  /** false: the peer has opened too many. */
  spend(peer: string, quota: 'handshakes'): boolean;
  onChange(): void;
  log: Log;
}

export class Twins {
  readonly #components: TwinsComponents;
  /** The instance at the other end of each open connection, once it has said so. */
  readonly #instances = new WeakMap<PeerConnection, string>();
  readonly #instance = new Uint8Array(randomBytes(instanceBytes));
  /** By peer. */
  readonly #met = new Map<string, Twin>();
  /** Members that say they meet another instance of this peer, and when that is out of date. */
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

  /** Members of whom this peer meets two instances. */
  met(): Twin[] {
    return [...this.#met.values()];
  }

  /** Peer ids of the members that meet another instance of this peer. */
  toldBy(): string[] {
    return [...this.#told.keys()];
  }

  /** A connection that this side opened: both learn each other's instance. */
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

  /** Throws for what is no hello. */
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

  /** Asks every connection of the peer again, and goes on doing so while two instances answer. */
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
        return this.#check(peer); // now both are told
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
