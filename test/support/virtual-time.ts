/** Time and chance for simulated groups: seeded, and moved only by running what is scheduled. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/node/driver/clock.ts';
import type { Scheduler } from './simulated-network.ts';

interface Task {
  atMs: number;
  order: number;
  run: () => void;
  cancelled: boolean;
}

export class VirtualTime implements Scheduler {
  #now = 0;
  #order = 0;
  #tasks: Task[] = [];

  now(): number {
    return this.#now;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const task: Task = { atMs: this.#now + Math.max(0, delayMs), order: this.#order, run, cancelled: false };
    this.#order += 1;
    // Binary insertion keeps the queue sorted by time, then by the order of scheduling.
    let low = 0;
    let high = this.#tasks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#tasks[middle] as Task).atMs <= task.atMs) low = middle + 1;
      else high = middle;
    }
    this.#tasks.splice(low, 0, task);
    return () => {
      task.cancelled = true;
    };
  }

  /** Runs the next task, then everything that it made ready; false when nothing is scheduled. */
  async next(): Promise<boolean> {
    let task = this.#tasks.shift();
    while (task?.cancelled) task = this.#tasks.shift();
    if (task === undefined) return false;
    this.#now = task.atMs;
    task.run();
    await settled();
    return true;
  }

  clock(skewMs = 0): Clock {
    return {
      nowMs: () => this.#now,
      wallMs: () => 1_800_000_000_000 + this.#now + skewMs,
      schedule: (delayMs, task) => this.schedule(delayMs, task),
    };
  }
}

/** All promises that can go on without a task have gone on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Deterministic bytes: SHA-256 in counter mode over a seed. For tests only. */
export function seededBytes(seed: string): (length: number) => Uint8Array {
  let counter = 0;
  return (length) => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      out.set(
        createHash('sha256')
          .update(`${seed}/${counter}`)
          .digest()
          .subarray(0, Math.min(32, length - at)),
        at,
      );
      counter += 1;
    }
    return out;
  };
}
