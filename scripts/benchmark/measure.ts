/** Taking turns, and printing tables. */

export const write = (text: string): void => void process.stdout.write(text);

/**
 * Milliseconds of each contestant: the fastest of its turns. They take turns, so that a machine that is busy with other
 * things meets all of them; and the fastest counts, because other things only add. One first round does not count.
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

/** The smallest value that at least this part of all values does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}

export const ms = (value: number): string => value.toFixed(value < 1 ? 3 : 2);
export const times = (value: number): string => `${value.toFixed(2)}×`;

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
