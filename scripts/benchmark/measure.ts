/** Races and tables. */

export const write = (text: string): void => void process.stdout.write(text);

/**
 * The milliseconds of each contestant's fastest turn. The contestants take turns, so other work of the
 * machine meets all of them. The fastest turn counts, because other work only adds time. The first round does
 * not count.
 */
export function race<Name extends string>(
  rounds: number,
  contestants: Record<Name, () => unknown>,
): Record<Name, number> {
  const names = Object.keys(contestants) as Name[];
  const fastestMs = new Map<Name, number>();
  for (let round = 0; round <= rounds; round += 1)
    for (const name of names) {
      const startedAtMs = performance.now();
      contestants[name]();
      const tookMs = performance.now() - startedAtMs;
      if (round > 0) fastestMs.set(name, Math.min(tookMs, fastestMs.get(name) ?? Number.POSITIVE_INFINITY));
    }
  return Object.fromEntries(fastestMs) as Record<Name, number>;
}

/** The smallest `v` such that at least this part (0 to 1) of all values is at most `v`. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}

export const ms = (value: number): string => value.toFixed(value < 1 ? 3 : 2);
export const times = (value: number): string => `${value.toFixed(2)}×`;

/** Prints rows under a title and headings, in columns. */
export function table(
  title: string,
  headings: readonly string[],
  rows: ReadonlyArray<readonly string[]>,
): void {
  const all = [headings, ...rows];
  const widths = headings.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const padded = (cell: string, at: number): string =>
    at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0);
  write(`\n${title}\n`);
  for (const row of all) write(`  ${row.map(padded).join('  ')}\n`);
}
