/**
 * Which dealings to accept: no choice of gaps by at most `faults` liars hides the set that honest members
 * hold whole.
 */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Choice, type HeldSet, largestHeldSet } from '../../src/protocol/change/acceptable-set.ts';
import { type Edges, quickCover, smallestCover } from '../../src/protocol/change/smallest-cover.ts';
import { faultsOf } from '../../src/protocol/records/roster.ts';
import { operatorDealer } from '../../src/protocol/records/value.ts';
import { subsetsOf } from '../../src/simulation/world/sample-keys.ts';

const digestOf = (dealer: number, variant = 0): string => `${dealer}/${variant}`;

/** What is chosen from where every member but the silent ones deals, and holds all dealings but those in `gaps`. */
function choiceOf(options: {
  n: number;
  k: number;
  silent?: readonly number[];
  model?: 'byzantine' | 'crash';
  gaps: (holder: number, dealer: number) => boolean;
}): Choice {
  const { n, k, silent = [], model = 'byzantine', gaps } = options;
  const members = Array.from({ length: n }, (_, at) => at + 1).filter((one) => !silent.includes(one));
  const faults = faultsOf(n, k, model);
  return {
    dealings: members.map((dealer) => ({ dealer, digest: digestOf(dealer) })),
    holders: members.map((by) => ({
      by,
      listed: new Set(members.filter((dealer) => !gaps(by, dealer)).map((dealer) => digestOf(dealer))),
    })),
    needed: { dealings: k, holders: model === 'crash' ? k : k + faults },
    faults,
  };
}

function expectHeldSet(found: HeldSet | null, choice: Choice): asserts found is HeldSet {
  if (found === null) throw new Error('nothing was found');
  for (const { listed } of found.holders)
    for (const { digest } of found.dealings) expect(listed.has(digest)).toBe(true);
  expect(found.holders.length).toBeGreaterThanOrEqual(choice.needed.holders);
  expect(found.dealings.length).toBeGreaterThanOrEqual(choice.needed.dealings);
}

/** The most dealings that enough holders list, by trying all. */
function naiveBest({ dealings, holders, needed }: Choice): number {
  const digests = dealings.map(({ digest }) => digest);
  for (let size = digests.length; size >= needed.dealings; size -= 1)
    for (const set of subsetsOf(digests, size))
      if (holders.filter(({ listed }) => set.every((one) => listed.has(one))).length >= needed.holders)
        return size;
  return 0;
}

/** The largest groups in which five, six, ten and more members may lie. */
const large = [
  [16, 5],
  [16, 6],
  [20, 7],
  [20, 10],
  [31, 10],
  [31, 11],
  [64, 22],
  [64, 23],
] as const;

describe('liars that each deal to all but one honest member and refuse one honest dealing', () => {
  for (const [n, k] of large)
    test(`hide nothing in ${k}-of-${n}`, () => {
      const faults = faultsOf(n, k, 'byzantine');
      for (const place of ['first', 'last', 'between'] as const)
        for (const apart of [0, 1, 2, faults]) {
          const liars = Array.from({ length: faults }, (_, at) =>
            place === 'first' ? at + 1 : place === 'last' ? n - at : 2 * at + 1,
          );
          const honest = Array.from({ length: n }, (_, at) => at + 1).filter((one) => !liars.includes(one));
          const victim = (liar: number, further: number) =>
            honest[(liars.indexOf(liar) + further) % honest.length];
          const choice = choiceOf({
            n,
            k,
            gaps: (holder, dealer) =>
              (liars.includes(holder) && dealer === victim(holder, apart)) ||
              (liars.includes(dealer) && holder === victim(dealer, 0)),
          });
          const found = largestHeldSet(choice);
          expectHeldSet(found, choice);
          expect(found.dealings.length).toBeGreaterThanOrEqual(n - faults);
        }
    });
});

/** Any gaps, of which each has a liar for one of its ends; some of the liars are silent. */
const lied = fc
  .constantFrom<readonly [number, number]>([4, 2], [5, 3], [7, 3], [8, 3], [10, 4], [11, 3])
  .chain(([n, k]) => {
    const faults = faultsOf(n, k, 'byzantine');
    const pairs = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: faults }), fc.integer({ min: 1, max: n }), fc.boolean()),
      { maxLength: 2 * faults * n, selector: String },
    );
    return fc.record({ n: fc.constant(n), k: fc.constant(k), pairs, silent: fc.nat(faults) });
  });

describe('what honest members hold whole', () => {
  test('is found whatever at most `faults` liars leave out, and has all honest dealings but as many', () => {
    fc.assert(
      fc.property(lied, ({ n, k, pairs, silent }) => {
        const gaps = new Set(
          pairs.map(([liar, other, deals]) => (deals ? `${other} ${liar}` : `${liar} ${other}`)),
        );
        const faults = faultsOf(n, k, 'byzantine');
        const choice = choiceOf({
          n,
          k,
          silent: Array.from({ length: silent }, (_, at) => at + 1),
          gaps: (holder, dealer) => gaps.has(`${holder} ${dealer}`),
        });
        const found = largestHeldSet(choice);
        expectHeldSet(found, choice);
        expect(found.holders.length).toBeGreaterThanOrEqual(k + faults);
        expect(found.dealings.length).toBeGreaterThanOrEqual(n - faults);
        expect(found.dealings.length).toBeLessThanOrEqual(naiveBest(choice));
      }),
      { numRuns: 1_500 },
    );
  });

  test('is found under the crash model, where `faults` members fell silent in mid-dealing', () => {
    for (const [n, k] of [
      [3, 2],
      [13, 5],
      [64, 33],
    ] as const) {
      const faults = faultsOf(n, k, 'crash');
      // Each died after it had dealt to the first few only, and lists nothing after its own dealing.
      const gaps = (holder: number, dealer: number) =>
        (dealer <= faults && holder > dealer + 2) || (holder <= faults && dealer > holder);
      const choice = choiceOf({ n, k, model: 'crash', gaps });
      const found = largestHeldSet(choice);
      expectHeldSet(found, choice);
      expect(found.dealings.length).toBeGreaterThanOrEqual(n - faults);
    }
  });

  test('is found where up to four messages are late', () => {
    const shapes = fc.constantFrom<readonly [number, number]>([4, 2], [5, 3], [7, 3], [8, 3]);
    const pairs = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 })), {
      maxLength: 4,
      selector: String,
    });
    fc.assert(
      fc.property(shapes, pairs, ([n, k], late) => {
        const gaps = (holder: number, dealer: number) =>
          holder !== dealer && late.some(([by, of]) => by === holder && of === dealer);
        const choice = choiceOf({ n, k, gaps });
        const found = largestHeldSet(choice);
        if (naiveBest(choice) === 0) expect(found).toBeNull();
        else expectHeldSet(found, choice);
      }),
      { numRuns: 1_000 },
    );
  });

  test('counts members that did not deal themselves as holders', () => {
    const { dealings, ...choice } = choiceOf({
      n: 7,
      k: 3,
      gaps: (holder, dealer) => dealer === 1 && holder === 7,
    });
    const few = { ...choice, dealings: dealings.slice(0, 4) };
    const found = largestHeldSet(few);
    expectHeldSet(found, few);
    expect(found).toMatchObject({ dealings: { length: 4 }, holders: { length: 6 } });
  });

  test('has every required dealing, held by fewer or not', () => {
    const choice = choiceOf({ n: 5, k: 3, gaps: () => false });
    const created = [0, 1].map((variant) => ({ dealer: operatorDealer, digest: digestOf(0, variant) }));
    const holders = choice.holders.map(({ by, listed }) => ({
      by,
      listed: by === 5 ? listed : new Set([...listed, ...created.map(({ digest }) => digest)]),
    }));
    const found = largestHeldSet({ ...choice, dealings: [...choice.dealings, ...created], holders });
    expect(found?.dealings).toEqual([...choice.dealings, ...created]);
    expect(found?.holders.map(({ by }) => by)).toEqual([1, 2, 3, 4]);
    const missing = [...created, { dealer: operatorDealer, digest: digestOf(0, 2) }];
    expect(largestHeldSet({ ...choice, dealings: [...choice.dealings, ...missing], holders })).toBeNull();
  });
});

/** Edges between vertices, in both lists. */
function edgesOf(vertices: number, pairs: ReadonlyArray<readonly [number, number]>): Edges {
  const joined = Array.from({ length: vertices }, () => new Set<number>());
  for (const [a, b] of pairs.filter(([one, other]) => one !== other)) {
    joined[a]?.add(b);
    joined[b]?.add(a);
  }
  return joined.map((others) => [...others]);
}

const covers = (edges: Edges, cover: readonly number[]): boolean =>
  edges.every((joined, vertex) => cover.includes(vertex) || joined.every((other) => cover.includes(other)));

describe('a smallest cover', () => {
  const vertex = fc.nat(8);
  const graphs = fc.array(fc.tuple(vertex, vertex), { maxLength: 24 }).map((pairs) => edgesOf(9, pairs));

  test('is as small as a naive search finds, or there is none of that size', () => {
    const all = Array.from({ length: 9 }, (_, at) => at);
    fc.assert(
      fc.property(graphs, fc.nat(9), (edges, atMost) => {
        const sizes = all
          .concat(9)
          .filter((size) => [...subsetsOf(all, size)].some((set) => covers(edges, set)));
        const smallest = Math.min(...sizes);
        const found = smallestCover(edges, atMost);
        expect(found?.length ?? null).toBe(smallest <= atMost ? smallest : null);
        if (found !== null) expect(covers(edges, found)).toBe(true);
        expect(covers(edges, quickCover(edges) ?? [])).toBe(true);
      }),
      { numRuns: 600 },
    );
  });

  test('of 64 members is found in few steps, whatever 21 of them do', () => {
    /** How often a list of edges is read: every vertex that is taken reads one, or two. */
    const readsOf = (edges: Edges): number => {
      let reads = 0;
      const counted = new Proxy(edges, {
        get: (lists, name) => {
          if (typeof name === 'string' && /^\d+$/.test(name)) reads += 1;
          return Reflect.get(lists, name);
        },
      });
      expect(smallestCover(counted, 21)?.length ?? 0).toBeLessThanOrEqual(21);
      return reads;
    };
    const liar = fc.nat(20);
    const lie = fc.integer({ min: 1, max: 12 }).chain((each) =>
      fc.array(fc.tuple(liar, fc.oneof(fc.nat(63), fc.integer({ min: 21, max: 41 }), liar)), {
        minLength: 21,
        maxLength: 21 * each,
      }),
    );
    fc.assert(
      fc.property(lie, (pairs) => {
        // 3,100 leaves are the bound for 21; most of them end at once.
        expect(readsOf(edgesOf(64, pairs))).toBeLessThan(5_000);
      }),
      { numRuns: 300 },
    );
    // Where all vertices have four edges, none looks better than another.
    for (const far of [2, 3, 5]) {
      const ring = Array.from({ length: 42 }, (_, at) => [at, (at + 1) % 42] as const);
      const chords = Array.from({ length: 42 }, (_, at) => [at, (at + far) % 42] as const);
      expect(readsOf(edgesOf(64, [...ring, ...chords]))).toBeLessThan(5_000);
    }
  });
});
