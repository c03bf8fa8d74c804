/**
 * Notices when somebody sets the machine's clock while the daemon runs, or when the machine slept. It
 * compares the clock with the monotonic one. All timers use the monotonic clock, so a jump moves no refresh.
 * A wrong clock can only spoil the expiry of requests.
 */
import type { Clock } from '../clock.ts';

const lookEveryMs = 5000;
/** NTP corrects smaller differences slowly, and a busy event loop looks like them. Milliseconds. */
const jumpMinMs = 2000;

/** Watches the clock until `stop`. */
export class ClockWatch {
  readonly #clock: Clock;
  readonly #onJump: (stepMs: number) => void;
  #cancel: () => void = () => {};
  #offsetMs: number;

  /** `onJump` gets the milliseconds by which the clock went ahead. They are negative when it was set back. */
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
