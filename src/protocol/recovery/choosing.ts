/** §5 step 2, at the member that recovers: it chooses `k` helpers that hold each other's masks. */

import { quickCover, smallestCover } from '../change/smallest-cover.ts';
import type { Asking, Run } from '../machine/recovery-state.ts';
import { fromHex } from '../records/codec.ts';
import { present } from '../records/present.ts';
import type { Chosen } from '../records/recovery-messages.ts';

/**
 * Chooses `k` helpers that hold each other's masks. Only helpers count whose masks' public halves are here.
 * Null when there are fewer than `k` such helpers.
 *
 * Honest helpers agree with each other. The function leaves out a smallest set of helpers, so that all others
 * agree. While no more than `faults` helpers lie, as many stay as there are honest helpers. To leave out the
 * helpers that agree with the fewest others would be worse, because liars can make that an honest one.
 */
export function chooseHelpers(
  run: Pick<Run, 'helpers' | 'held' | 'publics'>,
  { threshold, faults, failed = {} }: { threshold: number; faults: number; failed?: Asking['failed'] },
): Chosen | null {
  const maskOf = new Map(Object.entries(run.publics).map(([digest, { dealer }]) => [dealer, digest]));
  const told = run.helpers.filter((index) => maskOf.has(index) && run.held[index] !== undefined);
  const agree = (a: number, b: number): boolean =>
    run.held[a]?.[b] === maskOf.get(b) && run.held[b]?.[a] === maskOf.get(a);
  const edges = told.map((a) => told.flatMap((b, at) => (a === b || agree(a, b) ? [] : [at])));
  const left = smallestCover(edges, faults) ?? quickCover(edges) ?? [];
  const agreeing = told.filter((_, at) => !left.includes(at));
  if (agreeing.length < threshold) return null;
  // A helper that failed an earlier run comes last. It is among them only while fewer than `k` others
  // granted.
  const asked = agreeing.toSorted(
    (one, other) => Number(failed[one] ?? false) - Number(failed[other] ?? false),
  );
  return asked
    .slice(0, threshold)
    .map((index) => ({ index, digest: fromHex(present(maskOf.get(index), 'a mask of each')) }));
}
