/** Tasks of several askers that share a few places: each asker in turn, however much one of them asks. */

export class FairQueue {
  readonly #placesMax: number;
  /** Askers in the order in which they come next; each has something waiting. */
  readonly #waiting = new Map<string, Array<() => void>>();
  #running = 0;

  /** @param placesMax how many tasks run at the same time */
  constructor(placesMax: number) {
    this.#placesMax = placesMax;
  }

  /** Runs `task` when it is the asker's turn; settles as the task does. */
  async run<T>(asker: string, task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#placesMax) await this.#turn(asker);
    else this.#running += 1;
    try {
      return await task();
    } finally {
      this.#next();
    }
  }

  #turn(asker: string): Promise<void> {
    return new Promise((resolve) => {
      const tasks = this.#waiting.get(asker);
      if (tasks) tasks.push(resolve);
      else this.#waiting.set(asker, [resolve]);
    });
  }

  /** The place that became free goes on to whoever is next, who then goes to the end of the row. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#running -= 1;
      return;
    }
    const [asker, tasks] = first;
    const start = tasks.shift();
    this.#waiting.delete(asker);
    if (tasks.length > 0) this.#waiting.set(asker, tasks);
    start?.();
  }
}
