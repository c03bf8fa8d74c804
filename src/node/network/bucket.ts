/** The rate of a token bucket: `atOnce` at once, and then `perSecond` a second. */
export interface Rate {
  atOnce: number;
  perSecond: number;
}

/** A token bucket. It counts by monotonic time, so a change of the wall clock changes nothing. */
export class Bucket {
  readonly #rate: Rate;
  #left: number;
  #atMs: number;

  /** A full bucket. `nowMs` is monotonic time in milliseconds, here and below. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#left = rate.atOnce;
    this.#atMs = nowMs;
  }

  /** Takes `amount` from the bucket. False when less than that is left: then the bucket is empty. */
  spend(nowMs: number, amount = 1): boolean {
    const left = this.#leftAt(nowMs) - amount;
    this.#left = Math.max(0, left);
    return left >= 0;
  }

  /**
   * Takes one, also from an empty bucket. Gives the milliseconds until the bucket would have had that one.
   */
  pace(nowMs: number): number {
    this.#left = this.#leftAt(nowMs) - 1;
    return this.#left >= 0 ? 0 : (-this.#left / this.#rate.perSecond) * 1000;
  }

  /** Whether the bucket is full again. */
  isFull(nowMs: number): boolean {
    return this.#leftAt(nowMs) >= this.#rate.atOnce;
  }

  #leftAt(nowMs: number): number {
    const { atOnce, perSecond } = this.#rate;
    this.#left = Math.min(atOnce, this.#left + ((nowMs - this.#atMs) / 1000) * perSecond);
    this.#atMs = nowMs;
    return this.#left;
  }
}
