/** Protocol §1: what n and k mean, and the relations on which the rest of the protocol stands. */
import { describe, expect, test } from 'vitest';
import type { FaultModel } from '../../src/protocol/records/genesis.ts';
import {
  explainChoice,
  faultsOf,
  holdersNeeded,
  leaderOf,
  quorumOf,
} from '../../src/protocol/records/roster.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';

describe('faults and quorum', () => {
  test.each([
    [2, 3, 0, 3],
    [2, 4, 1, 3],
    [3, 5, 1, 4],
    [3, 7, 2, 5],
    [2, 2, 0, 2],
    [5, 5, 0, 5],
    [4, 10, 3, 7],
  ])('%i of %i: faults %i, quorum %i', (k, n, faults, quorum) => {
    expect(faultsOf(n, k, 'byzantine')).toBe(faults);
    expect(quorumOf(n, k, 'byzantine')).toBe(quorum);
  });

  test.each([
    [2, 3, 1, 2],
    [3, 5, 2, 3],
    [2, 2, 0, 2],
    [4, 5, 1, 4],
  ])('crash model, %i of %i: faults %i, quorum %i', (k, n, faults, quorum) => {
    expect(faultsOf(n, k, 'crash')).toBe(faults);
    expect(quorumOf(n, k, 'crash')).toBe(quorum);
  });

  const sizes = Array.from({ length: 63 }, (_, at) => at + 2);
  test('two quorums share more than `faults` liars, and a quorum less its liars still has k', () => {
    for (const n of sizes)
      for (let k = 2; k <= n; k += 1) {
        const faults = faultsOf(n, k, 'byzantine');
        const quorum = quorumOf(n, k, 'byzantine');
        expect(2 * quorum - n).toBeGreaterThan(faults);
        expect(quorum - faults).toBeGreaterThanOrEqual(k);
      }
  });
  test('under the crash model two quorums meet, and each has k', () => {
    for (const n of sizes)
      for (let k = 2; k <= n; k += 1) {
        const quorum = quorumOf(n, k, 'crash');
        expect(2 * quorum).toBeGreaterThan(n);
        expect(quorum).toBeGreaterThanOrEqual(k);
      }
  });
});

describe('holders of every accepted dealing', () => {
  test.each<[FaultModel, number]>([
    ['byzantine', 4],
    ['crash', 3],
  ])('%s: k + m of both rosters', (model, needed) => {
    expect(holdersNeeded({ n: 5, k: 3 }, { n: 5, k: 3 }, model)).toBe(needed);
  });
  test('m is the smaller of old and new faults, k the new one', () => {
    expect(holdersNeeded({ n: 7, k: 3 }, { n: 5, k: 3 }, 'byzantine')).toBe(4);
    expect(holdersNeeded({ n: 5, k: 3 }, { n: 7, k: 3 }, 'byzantine')).toBe(4);
    expect(holdersNeeded({ n: 5, k: 2 }, { n: 5, k: 3 }, 'byzantine')).toBe(4);
    expect(holdersNeeded({ n: 3, k: 2 }, { n: 4, k: 2 }, 'byzantine')).toBe(2);
  });
});

test('every member leads in turn, and another one first in every epoch', () => {
  const { roster } = paperCluster();
  expect([0, 1, 2, 3, 4, 5].map((round) => leaderOf(roster, 3, round).index)).toEqual([4, 5, 1, 2, 3, 4]);
  expect([0, 1, 2].map((epoch) => leaderOf(roster, epoch, 0).index)).toEqual([1, 2, 3]);
});

test('the tools can say what a choice means', () => {
  expect(explainChoice(3, 2, 'byzantine')).toBe(
    '2-of-3: signing survives 1 dead peer; a refresh needs all 3',
  );
  expect(explainChoice(7, 3, 'byzantine')).toBe(
    '3-of-7: signing survives 4 dead peers; a refresh survives 2 silent or lying of 7',
  );
  expect(explainChoice(3, 2, 'crash')).toBe(
    '2-of-3: signing survives 1 dead peer; a refresh survives 1 silent of 3, but no liar: 1 lying peer could split the group (fault model crash)',
  );
  // Two quorums of three of four share two: an honest one is among those unless both lie.
  expect(explainChoice(4, 2, 'crash')).toBe(
    '2-of-4: signing survives 2 dead peers; a refresh survives 1 silent of 4, but no liar: 2 that lie together could split the group (fault model crash)',
  );
  // Where all are needed, nobody can split anything.
  expect(explainChoice(3, 3, 'crash')).toBe('3-of-3: signing survives 0 dead peers; a refresh needs all 3');
});
