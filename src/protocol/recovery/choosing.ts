/** §5 step 2 at the peer that recovers: k helpers that hold each other's masks. */

import { quickCover, smallestCover } from '../change/smallest-cover.ts';
import type { Asking, Run } from '../machine/recovery-state.ts';
import { fromHex } from '../records/codec.ts';
import { present } from '../records/present.ts';
import type { Chosen } from '../records/recovery-messages.ts';

/**
 * k helpers that hold each other's masks, of which r has the public halves; null when fewer than k are left.
 * Honest helpers agree pairwise, so leaving out a smallest set without which all agree leaves as many as are
 * honest, if no more than `faults` lie. Whoever agrees with the fewest would be a worse choice to leave out:
 * liars can make that an honest one.
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
  // Whoever failed an earlier run comes last: it is among them only while fewer than k others granted.
  const asked = agreeing.toSorted(
    (one, other) => Number(failed[one] ?? false) - Number(failed[other] ?? false),
  );
  return asked
    .slice(0, threshold)
    .map((index) => ({ index, digest: fromHex(present(maskOf.get(index), 'a mask of each')) }));
}
