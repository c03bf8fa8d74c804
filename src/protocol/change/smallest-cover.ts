/**
 * Whom to leave out so that all others agree: a smallest vertex cover of the graph whose edges join those who
 * do not.
 *
 * Honest members agree with each other, so every edge has a faulty end, and a smallest cover has no more
 * vertices than members are faulty. The search is exact and has no cap that liars could use up. It branches
 * only at a vertex with three edges or more: that vertex is in the cover, or all its neighbours are. So a
 * cover of at most c vertices takes at most L(c) = L(c − 1) + L(c − 3) leaves, below 1.4656^c: 3,100 for the
 * 21 liars that 64 members bear.
 */

import { present } from '../records/present.ts';

/** By vertex, the vertices that it is joined with; no vertex with itself, and each edge in both lists. */
export type Edges = ReadonlyArray<readonly number[]>;

/** A smallest set of vertices that touches every edge; null when each has more than `atMost`. */
export const smallestCover = (edges: Edges, atMost: number): number[] | null =>
  coverOf(edges, degreesOf(edges), atMost);

/**
 * A set that touches every edge, without a search: of the vertices that may be taken, the one with the most
 * edges, again and again; null when none of those has an edge and others have.
 */
export function quickCover(
  edges: Edges,
  mayTake: (vertex: number, taken: readonly number[]) => boolean = () => true,
): number[] | null {
  const degrees = degreesOf(edges);
  const taken: number[] = [];
  for (;;) {
    if (degrees.every((degree) => degree === 0)) return taken;
    const free = degrees.map((degree, vertex) => (degree > 0 && mayTake(vertex, taken) ? degree : 0));
    const most = Math.max(...free);
    if (most === 0) return null;
    const vertex = free.indexOf(most);
    take(edges, degrees, vertex);
    taken.push(vertex);
  }
}

const degreesOf = (edges: Edges): number[] => edges.map((joined) => joined.length);

/** A neighbour without edges left was taken: else its edge to this vertex would be left. */
const neighboursOf = (edges: Edges, degrees: readonly number[], vertex: number): number[] =>
  (edges[vertex] ?? []).filter((other) => degrees[other] !== 0);

function take(edges: Edges, degrees: number[], vertex: number): void {
  for (const other of neighboursOf(edges, degrees, vertex)) degrees[other] = (degrees[other] ?? 0) - 1;
  degrees[vertex] = 0;
}

/** @param degrees how many edges of each vertex are not covered yet; changed here */
function coverOf(edges: Edges, degrees: number[], atMost: number): number[] | null {
  const taken: number[] = [];
  for (;;) {
    const most = Math.max(0, ...degrees);
    if (most === 0) return taken;
    const left = atMost - taken.length;
    if (degrees.reduce((sum, degree) => sum + degree) > 2 * left * most) return null;
    const end = degrees.indexOf(1);
    if (end < 0 && most > 2) return branched(edges, degrees, taken, left);
    // The only neighbour of a vertex is as good as that vertex. Where all have two edges they lie in rings,
    // and of a ring any vertex will do.
    const vertex =
      end < 0 ? degrees.indexOf(most) : present(neighboursOf(edges, degrees, end)[0], 'a neighbour');
    take(edges, degrees, vertex);
    taken.push(vertex);
  }
}

function branched(edges: Edges, degrees: number[], taken: number[], left: number): number[] | null {
  const vertex = degrees.indexOf(Math.max(...degrees));
  const after = (chosen: readonly number[], atMost: number): number[] | null => {
    if (chosen.length > atMost) return null;
    const rest = [...degrees];
    for (const one of chosen) take(edges, rest, one);
    const found = coverOf(edges, rest, atMost - chosen.length);
    return found && [...taken, ...chosen, ...found];
  };
  const withIt = after([vertex], left);
  const fewer = withIt === null ? left : withIt.length - taken.length - 1;
  return after(neighboursOf(edges, degrees, vertex), fewer) ?? withIt;
}
