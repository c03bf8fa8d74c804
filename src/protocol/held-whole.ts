/**
 * Which dealings to accept (§4.3): the largest set that enough Haves list whole. What a Have lacks is an edge between the
 * two; one of its ends has to be left out. That is a vertex cover with a bound on either side, exact for small groups: a
 * heuristic would let one member that deals to most but not to all hide the set that all honest members hold.
 */

/** How many cases are tried for one answer; groups of a dozen need a few, and the next Have brings another try. */
const casesMax = 500;

interface Candidate {
  readonly side: 'dealing' | 'holder';
  /** Must not be left out: the dealing of a key's creation. */
  readonly required: boolean;
  readonly name: string;
  /** Candidates of the other side that do not go with this one. */
  readonly gaps: Candidate[];
}

/**
 * @param spare how many dealings, and how many holders, may be left out at most
 * @returns the names of the dealings that are left, as many as possible; null when there is no such set
 */
export function largestHeldWhole(request: {
  dealings: ReadonlyArray<{ name: string; required: boolean }>;
  holders: ReadonlyArray<{ name: string; listed: ReadonlySet<string> }>;
  spare: { dealings: number; holders: number };
}): Set<string> | null {
  const dealings = request.dealings.map((one): Candidate => ({ ...one, side: 'dealing', gaps: [] }));
  const holders = request.holders.map(({ name, listed }) => {
    const gaps = dealings.filter((dealing) => !listed.has(dealing.name));
    const holder: Candidate = { name, required: false, side: 'holder', gaps };
    for (const dealing of gaps) dealing.gaps.push(holder);
    return holder;
  });
  const cases = { left: casesMax };
  for (let without = 0; without <= request.spare.dealings; without += 1) {
    const spare = { dealing: without, holder: request.spare.holders };
    const kept = withoutGaps(new Set([...dealings, ...holders]), spare, cases);
    if (kept !== null)
      return new Set([...kept].filter(({ side }) => side === 'dealing').map(({ name }) => name));
  }
  return null;
}

/** Leaves out the candidate with the most gaps, or else everything that it has gaps with. */
function withoutGaps(
  kept: ReadonlySet<Candidate>,
  spare: Record<Candidate['side'], number>,
  cases: { left: number },
): ReadonlySet<Candidate> | null {
  if (spare.dealing < 0 || spare.holder < 0 || cases.left === 0) return null;
  cases.left -= 1;
  let worst: { candidate: Candidate; gaps: Candidate[] } | null = null;
  for (const candidate of kept) {
    const gaps = candidate.gaps.filter((other) => kept.has(other));
    if (gaps.length > (worst?.gaps.length ?? 0)) worst = { candidate, gaps };
  }
  if (worst === null) return kept;
  for (const leave of [[worst.candidate], worst.gaps]) {
    if (leave.some(({ required }) => required)) continue;
    const { side } = leave[0] as Candidate;
    const rest = new Set([...kept].filter((candidate) => !leave.includes(candidate)));
    const found = withoutGaps(rest, { ...spare, [side]: spare[side] - leave.length }, cases);
    if (found !== null) return found;
  }
  return null;
}
