/**
 * Notices when the machine's clock is set while the daemon runs (or the machine slept), by comparing it with
 * the monotonic clock. All timers are on the monotonic one: a jump moves no refresh. What it can spoil is the
 * expiry of requests.
 */
import type { Clock } from '../clock.ts';

const lookEveryMs = 5000;
/** NTP slews smaller differences, and a busy event loop looks like them. */
const jumpMinMs = 2000;

export class ClockWatch {
  readonly #clock: Clock;
  readonly #onJump: (stepMs: number) => void;
  #cancel: () => void = () => {};
  #offsetMs: number;

  /** `onJump`: by how much the clock went ahead; negative when it was set back. */
  constructor(options: { clock: Clock; onJump: (stepMs: number) => void }) {
    this.#clock = options.clock;
    this.#onJump = options.onJump;
    this.#offsetMs = this.#offset();
    this.#schedule();
  }

  stop(): void {
    this.#cancel();
  }

  #offset(): number {
    return this.#clock.wallMs() - this.#clock.nowMs();
  }

  #schedule(): void {
    this.#cancel = this.#clock.schedule(lookEveryMs, () => this.#look());
  }

  #look(): void {
    const offset = this.#offset();
    const stepMs = Math.round(offset - this.#offsetMs);
    this.#offsetMs = offset;
    this.#schedule();
    if (Math.abs(stepMs) >= jumpMinMs) this.#onJump(stepMs);
  }
}
