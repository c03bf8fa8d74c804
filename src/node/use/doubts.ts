/**
 * Members that spoiled or held up the use of a key lately: they are asked last, so that one liar or one peer that hangs
 * costs others a moment once, and not with every signature.
 */
import type { Clock } from '../clock.ts';

/**
 * `suspected`: its proof passes and its partial spoils a signature, as is possible where a key's primes are
 * not safe.
 */
type Fault = 'lied' | 'suspected' | 'silent';

const doubtedMs: Record<Fault, number> = { lied: 10 * 60_000, suspected: 10 * 60_000, silent: 30_000 };

const worst: readonly Fault[] = ['lied', 'suspected', 'silent'];

export interface Doubt {
  /** libp2p peer id */
  peer: string;
  fault: Fault;
  /** How often, one after the other. */
  times: number;
}

/** Bounded by the members that were asked. */
export class Doubts {
  readonly #clock: Clock;
  readonly #doubts = new Map<string, Doubt & { untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(peer: string, fault: Fault): void {
    const before = this.#find(peer);
    // A liar that is silent is a liar still.
    const worse = worst.find((each) => each === fault || each === before?.fault) ?? fault;
    const times = before?.fault === worse ? before.times + 1 : 1;
    this.#doubts.set(peer, { peer, fault: worse, times, untilMs: this.#clock.nowMs() + doubtedMs[worse] });
  }

  /** It answered: being slow is forgiven. */
  answered(peer: string): void {
    if (this.#doubts.get(peer)?.fault === 'silent') this.#doubts.delete(peer);
  }

  has(peer: string): boolean {
    return this.#find(peer) !== undefined;
  }

  list(): Doubt[] {
    return [...this.#doubts.keys()].flatMap((peer) => this.#find(peer) ?? []);
  }

  #find(peer: string): (Doubt & { untilMs: number }) | undefined {
    const doubt = this.#doubts.get(peer);
    if (doubt === undefined || doubt.untilMs > this.#clock.nowMs()) return doubt;
    this.#doubts.delete(peer);
    return undefined;
  }
}
