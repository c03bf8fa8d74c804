/**
 * Members that spoiled or held up the use of a key lately: they are asked last, so that one liar or one peer
 * that hangs costs others a moment once, and not with every signature.
 */
import type { Clock } from '../clock.ts';

/**
 * `suspected`: its proof passes and its partial spoils a signature, as is possible where a key's primes are
 * not safe. `silent`: it owed an answer for too long, or committed to nonces and gave no partial.
 */
type Fault = 'lied' | 'suspected' | 'silent';

const penaltyMs: Record<Fault, number> = { lied: 10 * 60_000, suspected: 10 * 60_000, silent: 30_000 };

const worst: readonly Fault[] = ['lied', 'suspected', 'silent'];

export interface PeerPenalty {
  /** libp2p peer id */
  peer: string;
  fault: Fault;
  /** How often, one after the other. */
  times: number;
}

/** Bounded by the members that were asked. */
export class PeerPenalties {
  readonly #clock: Clock;
  readonly #penalties = new Map<string, PeerPenalty & { untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  penalize(peer: string, fault: Fault): void {
    const before = this.#find(peer);
    // A liar that is silent is a liar still.
    const worse = worst.find((each) => each === fault || each === before?.fault) ?? fault;
    const times = before?.fault === worse ? before.times + 1 : 1;
    this.#penalties.set(peer, { peer, fault: worse, times, untilMs: this.#clock.nowMs() + penaltyMs[worse] });
  }

  /** It answered: being slow is forgiven. */
  answered(peer: string): void {
    if (this.#penalties.get(peer)?.fault === 'silent') this.#penalties.delete(peer);
  }

  has(peer: string): boolean {
    return this.#find(peer) !== undefined;
  }

  list(): PeerPenalty[] {
    return [...this.#penalties.keys()].flatMap((peer) => this.#find(peer) ?? []);
  }

  #find(peer: string): (PeerPenalty & { untilMs: number }) | undefined {
    const penalty = this.#penalties.get(peer);
    if (penalty === undefined || penalty.untilMs > this.#clock.nowMs()) return penalty;
    this.#penalties.delete(peer);
    return undefined;
  }
}
