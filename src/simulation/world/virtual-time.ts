/** Time and chance for simulated groups: seeded, and moved only by running what is scheduled. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../node/clock.ts';

/** Virtual time. The task must not be called synchronously; the returned function cancels it. */
export interface Scheduler {
  now(): number;
  schedule(delayMs: number, task: () => void): () => void;
}

interface Task {
  atMs: number;
  order: number;
  run: () => void;
  cancelled: boolean;
}

const isBefore = (one: Task, other: Task): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

/** Tasks by time, then by the order of scheduling: a binary heap, for a large group has many thousands waiting. */
class Tasks {
  readonly #heap: Task[] = [];

  add(task: Task): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(task, heap[above] as Task)) break;
      heap[at] = heap[above] as Task;
      at = above;
    }
    heap[at] = task;
  }

  takeFirst(): Task | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Task, heap[below] as Task)) below += 1;
      if (!isBefore(heap[below] as Task, last)) break;
      heap[at] = heap[below] as Task;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

export class VirtualTime implements Scheduler {
  readonly #wallMs: () => number;
  #now = 0;
  #order = 0;
  readonly #tasks = new Tasks();

  /** @param wallMs what wall clocks show, Unix milliseconds; if not given, virtual time since a date */
  constructor(wallMs: () => number = () => 1_800_000_000_000 + this.#now) {
    this.#wallMs = wallMs;
  }

  now(): number {
    return this.#now;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const task: Task = { atMs: this.#now + Math.max(0, delayMs), order: this.#order, run, cancelled: false };
    this.#order += 1;
    this.#tasks.add(task);
    return () => {
      task.cancelled = true;
    };
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.schedule(ms, resolve);
    });
  }

  /** Runs the next task, then everything that it made ready; false when nothing is scheduled. */
  async next(): Promise<boolean> {
    let task = this.#tasks.takeFirst();
    while (task?.cancelled) task = this.#tasks.takeFirst();
    if (task === undefined) return false;
    this.#now = task.atMs;
    task.run();
    await settled();
    return true;
  }

  clock(skewMs = 0): Clock {
    return {
      nowMs: () => this.#now,
      wallMs: () => this.#wallMs() + skewMs,
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
