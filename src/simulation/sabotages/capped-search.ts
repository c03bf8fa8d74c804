/**
 * A search for acceptable dealings that gives up after 500 cases. One sabotage puts it in the place of the
 * search without a cap. Liars with a few gaps each use up the cases.
 */

import type { Choice, HeldDealing, HeldSet, Holder } from '../../protocol/change/acceptable-set.ts';
import { operatorDealer } from '../../protocol/records/value.ts';

const casesMax = 500;

type Candidate =
  | { readonly side: 'dealings'; readonly one: HeldDealing; readonly gaps: Candidate[] }
  | { readonly side: 'holders'; readonly one: Holder; readonly gaps: Candidate[] };

/** Null when it finds no set, or gives up. */
export function cappedSearch(choice: Choice): HeldSet | null {
  const dealings = choice.dealings.map((one): Candidate => ({ side: 'dealings', one, gaps: [] }));
  const holders = choice.holders.map((one) => {
    const gaps = dealings.filter((dealing) => !one.listed.has((dealing.one as HeldDealing).digest));
    const holder: Candidate = { side: 'holders', one, gaps };
    for (const dealing of gaps) dealing.gaps.push(holder);
    return holder;
  });
  const cases = { left: casesMax };
  for (let without = 0; without <= dealings.length - choice.needed.dealings; without += 1) {
    const spare = { dealings: without, holders: holders.length - choice.needed.holders };
    const kept = withoutGaps(new Set([...dealings, ...holders]), spare, cases);
    if (kept !== null)
      return {
        dealings: [...kept].flatMap(({ side, one }) => (side === 'dealings' ? [one] : [])),
        holders: [...kept].flatMap(({ side, one }) => (side === 'holders' ? [one] : [])),
      };
  }
  return null;
}

/** Leaves out the candidate with the most gaps, or else all candidates with which it has gaps. */
function withoutGaps(
  kept: ReadonlySet<Candidate>,
  spare: Record<Candidate['side'], number>,
  cases: { left: number },
): ReadonlySet<Candidate> | null {
  if (spare.dealings < 0 || spare.holders < 0 || cases.left === 0) return null;
  cases.left -= 1;
  let worst: { candidate: Candidate; gaps: Candidate[] } | null = null;
  for (const candidate of kept) {
    const gaps = candidate.gaps.filter((other) => kept.has(other));
    if (gaps.length > (worst?.gaps.length ?? 0)) worst = { candidate, gaps };
  }
  if (worst === null) return kept;
  for (const leave of [[worst.candidate], worst.gaps]) {
    if (leave.some(({ side, one }) => side === 'dealings' && one.dealer === operatorDealer)) continue;
    const { side } = leave[0] as Candidate;
    const rest = new Set([...kept].filter((candidate) => !leave.includes(candidate)));
    const found = withoutGaps(rest, { ...spare, [side]: spare[side] - leave.length }, cases);
    if (found !== null) return found;
  }
  return null;
}
