/**
 * Notices what of the API's answers has changed. On the daemon's word, and every second because some things come and go
 * with time alone (a penalty, a cut-off, a visitor of the lobby, what is no problem before it lasts), the answers are
 * derived again and compared with the ones before. Nothing is derived while nobody listens.
 */
import { type Clock, systemClock } from '../node/clock.ts';
import type { DaemonApi } from '../node/views/view.ts';

/** Between two looks on the daemon's word: a change of epochs takes hundreds of steps. */
export const looksApartMs = 50;
export const tickMs = 1000;

/** By their addresses: `GET /v1/…`. */
export const resources = ['status', 'peers', 'epochs', 'keys', 'creation'] as const;
export type Resource = (typeof resources)[number];

const answers: Readonly<Record<Resource, (daemon: DaemonApi) => unknown>> = {
  status: (daemon) => daemon.status(),
  peers: (daemon) => daemon.peers(),
  epochs: (daemon) => daemon.newestEpochs(),
  keys: (daemon) => daemon.keys(),
  creation: (daemon) => daemon.plans(),
};

type Listener = (changed: readonly Resource[]) => void;

export class Changes {
  readonly #daemon: DaemonApi;
  readonly #clock: Clock;
  readonly #listeners = new Set<Listener>();
  readonly #known = new Map<Resource, string>();
  #count = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** A look on the daemon's word is scheduled. */
  #hurried = false;
  #cancel: () => void = () => {};
  #unhook: () => void = () => {};

  constructor(daemon: DaemonApi, clock: Clock = systemClock) {
    this.#daemon = daemon;
    this.#clock = clock;
  }

  /** How many changes were seen: the same number again means that nothing was missed. */
  get count(): number {
    return this.#count;
  }

  /** Calls `listener` with what differs, each time that something does; returns the undo. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#unhook = this.#daemon.onChange(() => this.#hurry());
      this.#look();
    }
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#unhook();
      this.#cancel();
      this.#hurried = false;
    };
  }

  #hurry(): void {
    if (this.#hurried) return;
    this.#hurried = true;
    this.#lookIn(Math.max(0, this.#lookedAtMs + looksApartMs - this.#clock.nowMs()));
  }

  #lookIn(delayMs: number): void {
    this.#cancel();
    this.#cancel = this.#clock.schedule(delayMs, () => this.#look());
  }

  #look(): void {
    this.#hurried = false;
    this.#lookedAtMs = this.#clock.nowMs();
    this.#lookIn(tickMs);
    const changed = resources.filter((resource) => {
      const now = markOf(() => answers[resource](this.#daemon));
      const differs = this.#known.get(resource) !== now;
      this.#known.set(resource, now);
      return differs;
    });
    if (changed.length === 0) return;
    this.#count += 1;
    for (const listener of this.#listeners) listener(changed);
  }
}

/** An answer as it is compared; a problem is an answer too. */
function markOf(answer: () => unknown): string {
  try {
    return JSON.stringify(answer(), withoutPassingTime);
  } catch (error) {
    return String(error);
  }
}

/** How long something has lasted so far is no change; times are computed with two clocks, which differ by a little. */
function withoutPassingTime(name: string, value: unknown): unknown {
  if (name === 'ms' || name === 'sinceMs') return undefined;
  return name === 'nextRefreshAtMs' && typeof value === 'number' ? Math.round(value / 1000) : value;
}
