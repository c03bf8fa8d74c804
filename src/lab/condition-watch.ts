/** Waits for conditions on something that calls `changed` after every change. */
export class ConditionWatch {
  readonly #checks = new Set<() => void>();

  /** Checks all conditions that are still waited for. */
  readonly changed = (): void => {
    for (const check of [...this.#checks]) check();
  };

  /** Resolves when the condition holds. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#checks.delete(check);
        resolve();
      };
      this.#checks.add(check);
      check();
    });
  }
}
