/**
 * A token bucket: so many at once, and then so many a second. It goes by monotonic time, so setting the clock
 * changes nothing.
 */
export interface Rate {
  atOnce: number;
  perSecond: number;
}

export class Bucket {
  readonly #rate: Rate;
  #left: number;
  #atMs: number;

  /** Full. `nowMs`, here and below: monotonic milliseconds. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#left = rate.atOnce;
    this.#atMs = nowMs;
  }

  /** Takes `amount` when it is there; false: it is not, and the bucket is as empty as if it had been. */
  spend(nowMs: number, amount = 1): boolean {
    const left = this.#leftAt(nowMs) - amount;
    this.#left = Math.max(0, left);
    return left >= 0;
  }

  /** Takes one even when none is there; how many milliseconds it will take until that one would have been. */
  pace(nowMs: number): number {
    this.#left = this.#leftAt(nowMs) - 1;
    return this.#left >= 0 ? 0 : (-this.#left / this.#rate.perSecond) * 1000;
  }

  /** Whether it is as good as new. */
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
