/**
 * The nonces of uses with two rounds, at the member that drew them (Komlo, Goldberg 2020; RFC 9591 §5). Two
 * answers from one pair of nonces void the proof of security, three give the share away. So a pair lives in
 * memory only, and leaves this map before anything about the second round is known to be right: there is no
 * way for it to meet a second list of commitments.
 */
import { type Hex, hex } from '../../protocol/records/codec.ts';
import type { Clock } from '../clock.ts';

/** What a pair is bound to. */
export interface NonceSession {
  readonly commitment: Uint8Array;
  readonly epoch: number;
  /** The key's id. */
  readonly key: Hex;
  /** The hash of the client's request. */
  readonly use: Hex;
}

/** How long a coordinator has for both rounds. */
const lifetimeMs = 10_000;
/** Of one coordinator; at the bound its own oldest one is destroyed. */
const sessionsMax = 64;

interface Held {
  readonly session: NonceSession;
  /** Secret. */
  readonly nonces: Uint8Array;
  readonly endsMs: number;
}

export class NonceSessions {
  readonly #clock: Clock;
  /** By the coordinator's peer id, then by its name for the session, oldest first. */
  readonly #held = new Map<string, Map<Hex, Held>>();
  /** Sessions whose second round is here, and has not begun its computation. */
  readonly #taken = new Map<NonceSession, Held>();
  #cancel: (() => void) | null = null;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Keeps a copy of a pair for the second round, and erases what it was given. The coordinator's older
   * session of that name is destroyed. False after `stop`.
   */
  keep(coordinator: string, name: Uint8Array, session: NonceSession, nonces: Uint8Array): boolean {
    // In a buffer of its own, which can be moved to a worker.
    const own = new Uint8Array(nonces.length);
    own.set(nonces);
    nonces.fill(0);
    if (this.#stopped) {
      wipe(own);
      return false;
    }
    const held = this.#held.get(coordinator) ?? new Map<Hex, Held>();
    this.#held.set(coordinator, held);
    wipe(held.get(hex(name))?.nonces);
    held.delete(hex(name));
    held.set(hex(name), { session, nonces: own, endsMs: this.#clock.nowMs() + lifetimeMs });
    for (const [oldest, { nonces: old }] of held) {
      if (held.size <= sessionsMax) break;
      wipe(old);
      held.delete(oldest);
    }
    this.#cancel ??= this.#clock.schedule(lifetimeMs, () => this.#expire());
    return true;
  }

  /** Takes a session out, for ever: no other question finds it. Null for one that is over or never was. */
  take(coordinator: string, name: Uint8Array): NonceSession | null {
    const held = this.#held.get(coordinator);
    const found = held?.get(hex(name));
    if (held === undefined || found === undefined) return null;
    held.delete(hex(name));
    if (held.size === 0) this.#held.delete(coordinator);
    this.#taken.set(found.session, found);
    return found.session;
  }

  /**
   * The nonces of a session that was taken, once. The caller has the only copy. Null where they are erased:
   * time is up, or the epoch is retired.
   */
  spend(session: NonceSession): Uint8Array | null {
    const found = this.#taken.get(session);
    this.#taken.delete(session);
    if (found === undefined || found.endsMs > this.#clock.nowMs()) return found?.nonces ?? null;
    wipe(found.nonces);
    return null;
  }

  /** Erases the nonces of a session that was taken, unless they are spent. */
  end(session: NonceSession): void {
    wipe(this.#taken.get(session)?.nonces);
    this.#taken.delete(session);
  }

  /** Destroys every pair of an epoch older than this one: its shares are erased. */
  retire(oldestEpoch: number): void {
    this.#destroy(({ session }) => session.epoch < oldestEpoch);
  }

  /** Destroys every pair, and keeps no other. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#destroy(() => true);
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    this.#destroy(({ endsMs }) => endsMs <= nowMs);
    const all = [...this.#held.values()]
      .flatMap((held) => [...held.values()])
      .concat([...this.#taken.values()]);
    const next = Math.min(...all.map(({ endsMs }) => endsMs));
    this.#cancel = all.length === 0 ? null : this.#clock.schedule(next - nowMs, () => this.#expire());
  }

  #destroy(isOver: (held: Held) => boolean): void {
    for (const [session, held] of this.#taken)
      if (isOver(held)) {
        wipe(held.nonces);
        this.#taken.delete(session);
      }
    for (const [coordinator, sessions] of this.#held) {
      for (const [name, held] of sessions)
        if (isOver(held)) {
          wipe(held.nonces);
          sessions.delete(name);
        }
      if (sessions.size === 0) this.#held.delete(coordinator);
    }
  }
}

const wipe = (nonces: Uint8Array | undefined): void => void nonces?.fill(0);
