/**
 * A network in memory with the same `Transport` contract as libp2p. Delays, loss, duplication and partitions
 * come from a seed, and time is virtual. The same seed and the same calls give the same history.
 */
import assert from 'node:assert/strict';
import { TransportError } from '../../node/network/transport.ts';
import { drawnBytes, seededRandom } from './seeded-random.ts';
import { type Cables, type Connection, type Frame, SimulatedTransport } from './simulated-transport.ts';
import type { Scheduler } from './virtual-time.ts';

/** How a network behaves. Times are in milliseconds. */
export interface SimulatedNetworkOptions {
  scheduler: Scheduler;
  seed: number;
  delayMsMin?: number;
  delayMsMax?: number;
  /** The share of frames that are lost, 0 to 1. No request is lost. */
  lossRate?: number;
  /** The share of frames that arrive twice. */
  duplicateRate?: number;
  /** How long it takes at most to connect, or to notice that a peer is gone. */
  connectMsMax?: number;
  /** How long an old proof counts after a new one was asked for. */
  reproofMs?: number;
  /**
   * How many frames may be on their way in one direction of a connection. More frames are dropped and
   * counted.
   */
  queueFramesMax?: number;
  queueBytesMax?: number;
  /** Decides the fate of every frame. Left out: each frame arrives as it was sent. */
  route?: Route;
}

/**
 * The frames that travel instead of one frame: none, the same one, or others. A frame with `laterMs` comes
 * later than the network alone brings it, and so out of order.
 */
export type Route = (frame: {
  from: string;
  to: string;
  via: 'gossip' | 'direct';
  bytes: Uint8Array;
}) => Array<{ bytes: Uint8Array; laterMs?: number }>;

/** The network of all peers of a run. */
export class SimulatedNetwork implements Cables {
  readonly #options: Required<Omit<SimulatedNetworkOptions, 'route'>> & { route: Route | null };
  readonly #random: () => number;
  readonly #running = new Map<string, SimulatedTransport>();
  readonly #connections = new Map<string, Connection>();
  readonly #cuts = new Set<string>();

  constructor(options: SimulatedNetworkOptions) {
    const defaults = {
      delayMsMin: 1,
      delayMsMax: 20,
      lossRate: 0,
      duplicateRate: 0,
      connectMsMax: 50,
      reproofMs: 10_000,
    };
    this.#options = {
      ...defaults,
      queueFramesMax: 4_096,
      queueBytesMax: 32 * 1024 * 1024,
      route: null,
      ...options,
    };
    this.#random = seededRandom(options.seed);
  }

  /** A new, stopped transport. A restarted peer gets a new one. */
  transport(peer: string): SimulatedTransport {
    return new SimulatedTransport(this, peer);
  }

  /** Sends a frame in the name of a running peer, beside the frames of its driver. */
  inject(from: string, to: string, bytes: Uint8Array): void {
    this.#running.get(from)?.send(to, bytes);
  }

  /** Only peers of the same group reach each other. A peer without a group reaches nobody. */
  partition(groups: ReadonlyArray<readonly string[]>): void {
    this.#cuts.clear();
    const groupOf = (peer: string): number => groups.findIndex((group) => group.includes(peer));
    const peers = [...new Set([...this.#running.keys(), ...groups.flat()])].sort();
    for (const a of peers) {
      for (const b of peers) {
        if (a < b && (groupOf(a) < 0 || groupOf(a) !== groupOf(b))) this.#cuts.add(`${a} ${b}`);
      }
    }
    this.review();
  }

  heal(): void {
    this.#cuts.clear();
    this.review();
  }

  cut(one: string, other: string): void {
    this.#cuts.add(this.#pair(one, other));
    this.review();
  }

  mend(one: string, other: string): void {
    this.#cuts.delete(this.#pair(one, other));
    this.review();
  }

  /** @internal */
  enter(transport: SimulatedTransport): void {
    this.#running.set(transport.peerId, transport);
    this.review();
  }

  /** @internal */
  leave(transport: SimulatedTransport): void {
    if (this.#running.get(transport.peerId) === transport) this.#running.delete(transport.peerId);
    this.review();
  }

  /**
   * @internal Opens and closes connections. Afterwards two peers are connected if both run, both list each
   * other, and nothing cuts them.
   */
  review(): void {
    for (const [pair, connection] of this.#connections) {
      if (!this.#mayConnect(connection.a, connection.b)) this.#close(pair, connection);
    }
    const transports = [...this.#running.values()].sort((one, other) => (one.peerId < other.peerId ? -1 : 1));
    for (const a of transports) {
      for (const b of transports) {
        if (
          a.peerId < b.peerId &&
          this.#mayConnect(a, b) &&
          !this.#connections.has(this.#pair(a.peerId, b.peerId))
        ) {
          this.#connect(a, b);
        }
      }
    }
  }

  /** @internal */
  peersOf(transport: SimulatedTransport, authenticated: boolean): string[] {
    const mine = [...this.#connections.values()].filter(({ a, b }) => a === transport || b === transport);
    const usable = mine.filter(
      (connection) => connection.open && (!authenticated || connection.authenticated.has(transport)),
    );
    return usable.map(({ a, b }) => (a === transport ? b.peerId : a.peerId)).sort();
  }

  /** @internal */
  connection(transport: SimulatedTransport, peer: string): Connection | undefined {
    const connection = this.#connections.get(this.#pair(transport.peerId, peer));
    const mine = connection?.a === transport || connection?.b === transport;
    return mine && connection.open ? connection : undefined;
  }

  /** @internal @returns false when the queue is full */
  deliver(connection: Connection, sender: SimulatedTransport, via: Frame['via'], bytes: Uint8Array): boolean {
    const queue = connection.directions.get(sender);
    assert(queue !== undefined, 'a connection has a queue for each of its ends');
    const { queueFramesMax, queueBytesMax, lossRate, duplicateRate } = this.#options;
    if (queue.frames >= queueFramesMax || queue.bytes + bytes.length > queueBytesMax) return false;
    if (this.#random() < lossRate) return true;
    const receiver = connection.a === sender ? connection.b : connection.a;
    const { route } = this.#options;
    const sent = { from: sender.peerId, to: receiver.peerId, via, bytes };
    const routed = route === null ? [{ bytes, laterMs: 0 }] : route(sent);
    const copies = this.#random() < duplicateRate ? 2 : 1;
    for (const { bytes: arriving, laterMs = 0 } of routed) {
      const frame: Frame = { from: sender.peerId, bytes: arriving.slice(), via };
      for (let copy = 0; copy < copies; copy += 1) {
        // Direct frames keep their order. Gossip does not.
        const arrives = this.#options.scheduler.now() + this.#delayMs() + laterMs;
        const ordered = via === 'direct' && laterMs === 0;
        const at = ordered ? Math.max(arrives, queue.arrivesLast) : arrives;
        if (ordered) queue.arrivesLast = at;
        queue.frames += 1;
        queue.bytes += arriving.length;
        this.#later(at - this.#options.scheduler.now(), () => {
          queue.frames -= 1;
          queue.bytes -= arriving.length;
          if (connection.open)
            receiver.receive(frame, via === 'gossip' || connection.authenticated.has(receiver));
        });
      }
    }
    return true;
  }

  /** @internal A request is lost only with its connection. */
  ask(
    connection: Connection,
    asker: SimulatedTransport,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const answerer = connection.a === asker ? connection.b : connection.a;
    return new Promise((resolve, reject) => {
      const control = new AbortController();
      const finish = (settle: () => void): void => {
        connection.rejects.delete(close);
        signal.removeEventListener('abort', abort);
        settle();
      };
      const fail = (code: 'closed' | 'aborted' | 'refused', message: string): void => {
        if (code !== 'refused') control.abort();
        finish(() => reject(new TransportError(code, message, answerer.peerId)));
      };
      const close = (): void => fail('closed', 'the connection to the peer closed before it answered');
      const abort = (): void => fail('aborted', 'the request was aborted');
      connection.rejects.add(close);
      signal.addEventListener('abort', abort, { once: true });
      const back = (settle: () => void): void => this.#later(this.#delayMs(), () => finish(settle));
      this.#later(this.#delayMs(), () => {
        if (!connection.open || control.signal.aborted) return;
        answerer
          .answer(asker.peerId, request.slice(), control.signal, connection.authenticated.has(answerer))
          .then(
            (answer) => back(() => resolve(answer.slice())),
            () => back(() => fail('refused', 'the peer refused the request')),
          );
      });
    });
  }

  /** @internal One side asks for a new proof. The old one counts for `reproofMs` more. */
  renew(connection: Connection, side: SimulatedTransport): void {
    const { authenticated, renewals } = connection;
    renewals.set(side, (renewals.get(side) ?? 0) + 1);
    if (authenticated.has(side)) this.#endsUnlessProven(connection, side);
    this.authenticate(connection);
  }

  #endsUnlessProven({ a, b, authenticated, waits }: Connection, side: SimulatedTransport): void {
    if (waits.has(side)) return;
    const expire = (): void => {
      waits.delete(side);
      authenticated.delete(side);
      side.handlers?.onUnauthenticated((side === a ? b : a).peerId);
    };
    waits.set(side, this.#options.scheduler.schedule(this.#options.reproofMs, expire));
  }

  /** @internal Runs the handshake of a connection. When it fails, earlier proofs still count. */
  authenticate(connection: Connection): void {
    const { a, b, authenticated, renewals, answered, waits } = connection;
    const began = new Map(renewals);
    this.#later(this.#delayMs(), () => {
      if (!connection.open || !b.proves(a, this.#nonce()) || !a.proves(b, this.#nonce())) return;
      for (const [side, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const proven = Math.max(answered.get(side) ?? 0, began.get(side) ?? 0);
        answered.set(side, proven);
        if (proven < (renewals.get(side) ?? 0)) this.#endsUnlessProven(connection, side);
        else {
          waits.get(side)?.();
          waits.delete(side);
        }
        if (authenticated.has(side)) continue;
        authenticated.add(side);
        side.handlers?.onAuthenticated(other.peerId);
      }
    });
  }

  #connect(a: SimulatedTransport, b: SimulatedTransport): void {
    const queue = () => ({ frames: 0, bytes: 0, arrivesLast: 0 });
    const directions = new Map([a, b].map((side) => [side, queue()]));
    const connection: Connection = {
      a,
      b,
      open: false,
      authenticated: new Set(),
      renewals: new Map(),
      answered: new Map(),
      waits: new Map(),
      rejects: new Set(),
      directions,
    };
    const pair = this.#pair(a.peerId, b.peerId);
    this.#connections.set(pair, connection);
    this.#later(1 + this.#random() * this.#options.connectMsMax, () => {
      if (this.#connections.get(pair) !== connection) return;
      connection.open = true;
      a.handlers?.onConnect(b.peerId);
      b.handlers?.onConnect(a.peerId);
      this.authenticate(connection);
    });
  }

  #close(pair: string, connection: Connection): void {
    const wasOpen = connection.open;
    connection.open = false;
    for (const cancel of connection.waits.values()) cancel();
    this.#connections.delete(pair);
    for (const reject of [...connection.rejects]) reject();
    if (!wasOpen) return;
    connection.a.handlers?.onDisconnect(connection.b.peerId);
    connection.b.handlers?.onDisconnect(connection.a.peerId);
  }

  #mayConnect(a: SimulatedTransport, b: SimulatedTransport): boolean {
    const running = this.#running.get(a.peerId) === a && this.#running.get(b.peerId) === b;
    return (
      running && a.lists(b.peerId) && b.lists(a.peerId) && !this.#cuts.has(this.#pair(a.peerId, b.peerId))
    );
  }

  #pair(one: string, other: string): string {
    return one < other ? `${one} ${other}` : `${other} ${one}`;
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.#options;
    return delayMsMin + this.#random() * (delayMsMax - delayMsMin);
  }

  #nonce(): Uint8Array {
    return drawnBytes(this.#random, 32);
  }

  #later(delayMs: number, task: () => void): void {
    this.#options.scheduler.schedule(delayMs, task);
  }
}
