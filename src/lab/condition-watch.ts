/** `until` resolves when its condition holds; conditions are looked at again after every `changed`. */
export class ConditionWatch {
  readonly #checks = new Set<() => void>();

  readonly changed = (): void => {
    for (const check of [...this.#checks]) check();
  };

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
