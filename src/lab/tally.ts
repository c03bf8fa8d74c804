/** Counts things by name. */
export class Tally {
  private readonly counts = new Map<string, number>();

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  /** `retiring 12, idle 30`, the most frequent first; `none` when nothing was counted. */
  toString(): string {
    const entries = [...this.counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`);
    return entries.join(', ') || 'none';
  }
}
