/**
 * Problems of the things that this peer keeps: a store near its bound, holes in the archive, links that only
 * others have.
 */
import { headOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import type { Problem } from './view.ts';

/** Honest groups stay far below this part of the bound. A fuller store shows that something is wrong. */
const storeLargeFrom = 0.5;

interface Keeping {
  /** The fill of the sealed store. */
  fill: { bytes: number; bytesMax: number };
  /** Epochs that are missing or damaged in the archive. */
  missing: readonly number[];
  /** What was said of a record in the archive that is of a later version. Null when there is none. */
  newer: string | null;
}

/** The problems of the store, the archive and the chain that this peer keeps. */
export function keepingProblems(state: CoreState, { fill, missing, newer }: Keeping): Problem[] {
  const problems: Problem[] = [];
  if (isLarge(fill))
    problems.push({
      code: 'store-large',
      what: `The sealed store holds ${megabytes(fill.bytes)} of at most ${megabytes(fill.bytesMax)} MB: far more than a group needs. At the bound this peer would take no more part in epoch changes.`,
      remedy:
        'Restart the daemon: a start drops what is kept only to be shown. If it grows again, look in the log for the member that is refused or blamed most, and evict it.',
    });
  if (newer !== null)
    problems.push({
      code: 'other-version',
      what: `The archive holds what a later version wrote, and this one cannot read: ${newer}.`,
      remedy: 'It is whole and stays as it is: history only, no share depends on it.',
    });
  const [first] = missing;
  if (first !== undefined)
    problems.push({
      code: 'archive-incomplete',
      what: `The archive lacks ${missing.length === 1 ? `the value of epoch ${first}` : `the values of ${missing.length} epochs, the first of them ${first}`}, or they are damaged: history only, no share depends on it.`,
      remedy: `Copy store/chain/${String(first).padStart(9, '0')}* ${missing.length === 1 ? '' : 'and the others '}from another member's home; the files are public.`,
    });
  return [...problems, ...behindProblems(state)];
}

/** Whether the store is fuller than that of any honest group. */
export const isLarge = ({ bytes, bytesMax }: Keeping['fill']): boolean => bytes > bytesMax * storeLargeFrom;
const megabytes = (bytes: number): string => String(Math.round(bytes / 2 ** 20));

/** This peer is behind, and no member that it reaches keeps the links that it lacks. */
function behindProblems(state: CoreState): Problem[] {
  const { head } = state.durable.own;
  const ahead = Object.values(state.volatile.chains).filter((chain) => chain.head > head);
  if (ahead.length === 0 || ahead.some(({ oldest }) => oldest <= head + 1)) return [];
  const self = headOf(state).roster.find(({ peer }) => peer === state.peer)?.name;
  return [
    {
      code: 'links-gone',
      what: `This peer knows epoch ${head}, and the members that it reaches keep only newer ones, since epoch ${Math.min(...ahead.map(({ oldest }) => oldest))}: it cannot follow them.`,
      remedy: `Start a member that keeps all epochs (archiveEpochsKept: 0). If there is none, let this peer join with a new home${self === undefined ? '' : ` under the name ${self}, and the operator run: holdfast reinstate ${self}`}.`,
    },
  ];
}

/** One sentence: why this peer cannot show the value of a past epoch, and which members say that they can. */
export function notKeptHere(state: CoreState, epoch: number): string {
  const { oldest } = state.durable.own;
  const { chains } = state.volatile;
  const others = headOf(state)
    .roster.filter(({ peer }) => (chains[peer]?.oldest ?? Number.POSITIVE_INFINITY) <= epoch)
    .map(({ name }) => name);
  const why =
    epoch < oldest
      ? `this peer keeps the values since epoch ${oldest} only`
      : `the value of epoch ${epoch} is missing or damaged in this peer’s archive`;
  const who =
    others.length === 0
      ? `no member that it reaches can show epoch ${epoch}: start one that keeps all`
      : `${others.join(', ')} can show epoch ${epoch}: run the command there`;
  return `${why}; ${who}`;
}
