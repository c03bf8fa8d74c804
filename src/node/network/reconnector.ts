/**
 * Keeps a connection to every member. libp2p's own reconnection gives up after a few tries, and it never
 * tries a peer that was down when this peer started. The peer with the larger id dials. The peer with the
 * smaller id dials only when no connection comes for a while. So two peers rarely open two connections at
 * once.
 */
import type { Libp2p } from '@libp2p/interface';
import type { Log } from '../log.ts';
import type { AddressBook } from './address-book.ts';
import { type NetworkTimings, networkLimits } from './constants.ts';
import type { PeerConnections } from './peer-connections.ts';

interface Attempt {
  failures: number;
  timer: NodeJS.Timeout | null;
  dialing: boolean;
}

interface ReconnectorComponents {
  node: Pick<Libp2p, 'dial' | 'peerId'>;
  connections: PeerConnections;
  book: AddressBook;
  timings: NetworkTimings;
  log: Log;
}

/**
 * A time between half of `ms` and `ms`. Members of a group that starts again together then do not dial in
 * step.
 */
const jittered = (ms: number): number => ms * (0.5 + Math.random() / 2);

/** Dials all members of the address book until they are connected. */
export class Reconnector {
  readonly #components: ReconnectorComponents;
  readonly #attempts = new Map<string, Attempt>();
  readonly #stopped = new AbortController();
  #started = false;

  constructor(components: ReconnectorComponents) {
    this.#components = components;
  }

  start(): void {
    this.#started = true;
    this.membersChanged();
  }

  stop(): void {
    this.#stopped.abort();
    for (const { timer } of this.#attempts.values()) if (timer) clearTimeout(timer);
    this.#attempts.clear();
  }

  /** Begins to dial new members, and forgets peers that are members no longer. */
  membersChanged(): void {
    const { book } = this.#components;
    for (const [peer, { timer }] of this.#attempts) {
      if (book.has(peer)) continue;
      if (timer) clearTimeout(timer);
      this.#attempts.delete(peer);
    }
    for (const peer of book.peers()) this.news(peer);
  }

  /** Something new is known about the peer's addresses. */
  news(peer: string): void {
    this.settled(peer);
    this.#retry(peer, this.#components.timings.redialMsMin / 4);
  }

  /**
   * The peer's last connection closed. The back-off also holds for a dial that succeeded: a member that
   * closes the connection right after it must not be dialled at full speed.
   */
  lost(peer: string): void {
    this.#retry(peer, this.#backOffMs(this.#attempt(peer)));
  }

  /** The connection works. The next loss is dialled again at once. */
  settled(peer: string): void {
    this.#attempt(peer).failures = 0;
  }

  #attempt(peer: string): Attempt {
    const attempt = this.#attempts.get(peer) ?? { failures: 0, timer: null, dialing: false };
    if (this.#components.book.has(peer)) this.#attempts.set(peer, attempt);
    return attempt;
  }

  #backOffMs(attempt: Attempt): number {
    const { redialMsMin, redialMsMax } = this.#components.timings;
    const delayMs = Math.min(redialMsMin * 2 ** attempt.failures, redialMsMax);
    attempt.failures += 1;
    return delayMs;
  }

  #retry(peer: string, delayMs: number): void {
    const { node, book, timings } = this.#components;
    const own = node.peerId.toString();
    if (!this.#started || this.#stopped.signal.aborted || peer === own || !book.has(peer)) return;
    const turnMs = own > peer ? 0 : timings.smallerIdDelayMs;
    this.#schedule(peer, this.#attempt(peer), jittered(Math.max(delayMs, turnMs)));
  }

  #schedule(peer: string, attempt: Attempt, delayMs: number): void {
    if (attempt.timer) clearTimeout(attempt.timer);
    attempt.timer = setTimeout(() => void this.#dial(peer, attempt), delayMs);
  }

  async #dial(peer: string, attempt: Attempt): Promise<void> {
    const { node, connections, book, log } = this.#components;
    attempt.timer = null;
    const addresses = book.addressesOf(peer);
    // The end of the connection that is there now calls `lost`, and the dialling begins again.
    if (attempt.dialing || connections.of(peer).length > 0) return;
    attempt.dialing = true;
    try {
      if (addresses.length === 0) throw new Error('no address is known');
      const signal = AbortSignal.any([
        this.#stopped.signal,
        AbortSignal.timeout(networkLimits.dialTimeoutMs),
      ]);
      await node.dial(addresses, { signal });
    } catch (err) {
      log.debug({ peer, err, attempt: attempt.failures }, 'dial failed');
    } finally {
      attempt.dialing = false;
    }
    const current = this.#attempts.get(peer) === attempt && !this.#stopped.signal.aborted;
    // A timer is there when the dial seemed to work and the peer closed the connection at once.
    if (!current || attempt.timer || connections.of(peer).length > 0) return;
    this.#schedule(peer, attempt, jittered(this.#backOffMs(attempt)));
  }
}
