/** What a leader accepts, from the state that it holds: always enough for validity, with what shows it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashOf } from '../../src/crypto/hash.ts';
import { acceptable } from '../../src/protocol/change/acceptable-set.ts';
import { createCore } from '../../src/protocol/machine/create.ts';
import { type Entry, emptyDurable } from '../../src/protocol/machine/durable-state.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import { type Attend, digestOfDealing, type Have } from '../../src/protocol/records/change-messages.ts';
import { encode, fromHex, hex } from '../../src/protocol/records/codec.ts';
import { draftOf, planOf } from '../../src/protocol/records/draft.ts';
import { testTiming } from '../../src/simulation/world/group-options.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';
import { subsetsOf } from '../../src/simulation/world/sample-keys.ts';

const paper = paperCluster();
const head = paper.founding.value;
const plan = planOf(head, draftOf(paper.genesis, paper.clusterId, head, []), []);
const members = [1, 2, 3, 4, 5];
const [threshold, needed] = [3, 4];

/** A dealing's public half without keys; `variant` makes a second one of the same dealer. */
const dealing = (dealer: number, variant = 0) => {
  const parts = variant === 0 ? [] : [{ key: hashOf(`${variant}`), commitments: [] }];
  const bytes = encode({ v: 1, epoch: 1, plan, dealer, parts });
  return { dealer, bytes, digest: hex(digestOfDealing(bytes)) };
};
const packet = (message: unknown) => ({ packet: { body: encode(message), signature: new Uint8Array(64) } });
const entry = <T extends Attend | Have>(message: T): Entry<T> => ({ message, carried: packet(message) });

/** A leader's state in which every member attends and its Have lists these digests. */
function leaderWith(lists: ReadonlyArray<readonly string[]>, known: ReturnType<typeof dealing>[]): CoreState {
  const key = hex(plan);
  const attends = members.map((by) => {
    const keys = { epochKey: new Uint8Array(32).fill(by), sealingKey: new Uint8Array(32).fill(by) };
    return [`${key}/${by}`, entry<Attend>({ v: 1, type: 'attend', by, epoch: 1, plan, ...keys })];
  });
  const haves = lists.map((list, at) => {
    const digests = [...list].sort().map(fromHex);
    return [`${key}/${at + 1}`, entry<Have>({ v: 1, type: 'have', by: at + 1, epoch: 1, plan, digests })];
  });
  return createCore({
    genesis: paper.genesis,
    peer: 'peer-0001',
    timing: testTiming,
    gate: 0,
    durable: {
      ...emptyDurable(),
      links: { 0: paper.founding },
      plans: { [key]: { orders: [] } },
      attends: Object.fromEntries(attends),
      haves: Object.fromEntries(haves),
      publics: Object.fromEntries(known.map(({ digest, bytes }) => [digest, { bytes }])),
    },
  });
}

/** How many dealings the best set has, by trying all; 0 when there is none. */
function naiveBest(lists: ReadonlyArray<readonly string[]>, digests: readonly string[]): number {
  for (let size = digests.length; size >= threshold; size -= 1)
    for (const set of subsetsOf(digests, size))
      if (lists.filter((list) => set.every((digest) => list.includes(digest))).length >= needed) return size;
  return 0;
}

const all = members.map((dealer) => dealing(dealer));
/** Few gaps: of many, not every set is found that a naive search finds. */
const sparse = fc
  .array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 4 })
  .map((gaps) =>
    members.map((_, row) => members.map((__, column) => !gaps.some(([r, c]) => r === row && c === column))),
  );
const listsOf = (matrix: boolean[][]) =>
  matrix.map((row) => all.filter((_, at) => row[at] === true).map(({ digest }) => digest));

describe('the accepted set', () => {
  test('is as large as a naive search finds where few dealings are missing, and its evidence shows it', () => {
    fc.assert(
      fc.property(sparse, (matrix) => {
        const lists = listsOf(matrix);
        const found = acceptable(leaderWith(lists, all), hex(plan));
        expect(found?.accepted.length ?? 0).toBe(
          naiveBest(
            lists,
            all.map(({ digest }) => digest),
          ),
        );
        if (found === null) return;
        const accepted = found.accepted.map(({ digest }) => hex(digest));
        expect(found.evidence.haves).toHaveLength(
          lists.filter((list) => accepted.every((digest) => list.includes(digest))).length,
        );
        expect(new Set(found.accepted.map(({ dealer }) => dealer)).size).toBe(accepted.length);
        expect(found.complete).toBe(matrix.flat().every((held) => held));
      }),
      { numRuns: 400 },
    );
  });

  test('is not hidden by one member that deals to most and lists little', () => {
    // p5 deals to p1–p3, lists its own dealing and p1's only, and its digest may be anywhere in the order.
    for (let variant = 0; variant < 12; variant += 1) {
      const lie = dealing(5, variant);
      const honest = all.slice(0, 4).map(({ digest }) => digest);
      const lists = [1, 2, 3, 4].map((by) => (by <= 3 ? [...honest, lie.digest] : honest));
      lists.push([honest[0]!, lie.digest]);
      const found = acceptable(leaderWith(lists, [...all.slice(0, 4), lie]), hex(plan));
      expect(found?.accepted.map(({ dealer }) => dealer)).toEqual([1, 2, 3, 4]);
    }
  });

  test('holds one dealing of a dealer with two, and none whose public half is missing', () => {
    const second = dealing(5, 1);
    const lists = members.map((by) => [
      ...all.slice(0, 4).map(({ digest }) => digest),
      by === 4 ? second.digest : all[4]!.digest,
    ]);
    const both = acceptable(leaderWith(lists, [...all, second]), hex(plan));
    expect(both?.accepted.map(({ digest }) => hex(digest))).toEqual(all.map(({ digest }) => digest));
    const without = acceptable(leaderWith(lists, all.slice(0, 4)), hex(plan));
    expect(without?.accepted.map(({ dealer }) => dealer)).toEqual([1, 2, 3, 4]);
  });

  test('needs a quorum of Attends', () => {
    const state = leaderWith(listsOf(members.map(() => members.map(() => true))), all);
    const attends = Object.fromEntries(Object.entries(state.durable.attends).slice(0, 3));
    expect(acceptable({ ...state, durable: { ...state.durable, attends } }, hex(plan))).toBeNull();
  });
});
