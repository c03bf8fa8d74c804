/**
 * The nonces of uses with two rounds, at the member that drew them (Komlo, Goldberg 2020; RFC 9591 §5). Two
 * answers from one pair of nonces void the proof of security, three give the share away. So a pair lives in
 * memory only, and leaves this map before anything about the second round is known to be right: there is no
 * way for it to meet a second list of commitments.
 */
import { type Hex, hex } from '../../protocol/records/codec.ts';
import type { Clock } from '../clock.ts';

export interface NonceSession {
  /** Secret. */
  readonly nonces: Uint8Array;
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

export class NonceSessions {
  readonly #clock: Clock;
  /** By the coordinator's peer id, then by its name for the session, oldest first. */
  readonly #held = new Map<string, Map<Hex, NonceSession & { readonly endsMs: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps a pair for the second round. The coordinator's older session of that name is destroyed. */
  keep(coordinator: string, session: Uint8Array, made: NonceSession): void {
    this.#destroyOld();
    const name = hex(session);
    const held = this.#held.get(coordinator) ?? new Map();
    this.#held.set(coordinator, held);
    wipe(held.get(name));
    held.delete(name);
    held.set(name, { ...made, endsMs: this.#clock.nowMs() + lifetimeMs });
    for (const [oldest, old] of held) {
      if (held.size <= sessionsMax) break;
      wipe(old);
      held.delete(oldest);
    }
  }

  /**
   * Takes a pair out, for ever. The caller has the only copy and erases it when it is used, or when anything
   * about the second round is wrong. Null for a session that is over or never was.
   */
  take(coordinator: string, session: Uint8Array): NonceSession | null {
    this.#destroyOld();
    const held = this.#held.get(coordinator);
    const found = held?.get(hex(session));
    if (held === undefined || found === undefined) return null;
    held.delete(hex(session));
    if (held.size === 0) this.#held.delete(coordinator);
    return found;
  }

  /** Destroys every pair of an epoch older than this one: its shares are erased. */
  retire(oldestEpoch: number): void {
    this.#destroy(({ epoch }) => epoch < oldestEpoch);
  }

  destroyAll(): void {
    this.#destroy(() => true);
  }

  #destroyOld(): void {
    const nowMs = this.#clock.nowMs();
    this.#destroy(({ endsMs }) => endsMs <= nowMs);
  }

  #destroy(isOver: (session: NonceSession & { readonly endsMs: number }) => boolean): void {
    for (const [coordinator, held] of this.#held) {
      for (const [name, session] of held)
        if (isOver(session)) {
          wipe(session);
          held.delete(name);
        }
      if (held.size === 0) this.#held.delete(coordinator);
    }
  }
}

const wipe = (session: NonceSession | undefined): void => void session?.nonces.fill(0);
