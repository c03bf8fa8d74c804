/** Virtual time and seeded bytes for simulated groups. Time moves only when a scheduled task runs. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../node/clock.ts';

/**
 * Schedules tasks in virtual time, in milliseconds. A task never runs inside `schedule`. The returned
 * function cancels it.
 */
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

/**
 * Tasks by time, and then by the order of scheduling. It is a binary heap, because many thousand tasks of a
 * large group wait.
 */
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

/** The time of one run. It begins at 0. */
export class VirtualTime implements Scheduler {
  readonly #wallMs: () => number;
  #now = 0;
  #order = 0;
  readonly #tasks = new Tasks();

  /**
   * @param wallMs gives the time of wall clocks in Unix milliseconds; left out, virtual time since a fixed
   * date
   */
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

  /** Runs the next task, and then every promise that can go on. False when nothing is scheduled. */
  async next(): Promise<boolean> {
    let task = this.#tasks.takeFirst();
    while (task?.cancelled) task = this.#tasks.takeFirst();
    if (task === undefined) return false;
    this.#now = task.atMs;
    task.run();
    await settled();
    return true;
  }

  /** A clock on this time. `skewMs` is the error of its wall clock. */
  clock(skewMs = 0): Clock {
    return {
      nowMs: () => this.#now,
      wallMs: () => this.#wallMs() + skewMs,
      schedule: (delayMs, task) => this.schedule(delayMs, task),
    };
  }
}

/** Resolves when every promise that can go on without a task has gone on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Deterministic bytes: SHA-256 in counter mode over a seed. For simulations only. */
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
