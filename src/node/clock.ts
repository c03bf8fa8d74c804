/** The clock of the driver and everything around it. The simulator replaces it with its own. */
export interface Clock {
  /** Monotonic time in milliseconds, from any beginning. */
  nowMs(): number;
  /** Unix time in milliseconds. Somebody may set it forward or back. */
  wallMs(): number;
  /** Runs `task` once, after `delayMs` milliseconds. The returned function cancels it. */
  schedule(delayMs: number, task: () => void): () => void;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule: (delayMs, task) => {
    const timer = setTimeout(task, Math.min(delayMs, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.schedule(delayMs, done);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
