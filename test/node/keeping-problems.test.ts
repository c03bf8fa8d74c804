/** A store near its bound is told long before, with what to do. */
import { expect, test } from 'vitest';
import { keepingProblems } from '../../src/node/views/keeping-problems.ts';
import { Group } from '../support/group.ts';

test('a store that is large for a group is a problem at half of its bound, and not before', () => {
  const state = new Group({ peers: 3, threshold: 2 }).state(1);
  const told = (bytes: number) =>
    keepingProblems(state, { fill: { bytes, bytesMax: 192 * 2 ** 20 }, missing: [] });
  expect(told(96 * 2 ** 20)).toEqual([]);
  expect(told(97 * 2 ** 20)).toMatchObject([{ code: 'store-large' }]);
  expect(told(97 * 2 ** 20)[0]?.what).toContain('97 of at most 192 MB');
});
