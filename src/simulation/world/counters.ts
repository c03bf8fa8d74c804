/** Counts by name. */
export class Counters {
  readonly counts = new Map<string, number>();

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  /** Adds the counts of another run. */
  add(other: Iterable<readonly [string, number]>): void {
    for (const [what, by] of other) this.count(what, by);
  }

  /** Such as `retiring 12, idle 30`, with the most frequent first. `none` when nothing was counted. */
  toString(): string {
    const entries = [...this.counts].sort(([, a], [, b]) => b - a).map(([what, count]) => `${what} ${count}`);
    return entries.join(', ') || 'none';
  }
}
