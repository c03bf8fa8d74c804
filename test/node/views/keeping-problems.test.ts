/** A store near its bound is told long before, with what to do. */
import { expect, test } from 'vitest';
import { keepingProblems, notKeptHere } from '../../../src/node/views/keeping-problems.ts';
import type { CoreState } from '../../../src/protocol/machine/state.ts';
import { Group } from '../../../src/simulation/world/group.ts';

test('a store that is large for a group is a problem at half of its bound, and not before', () => {
  const state = new Group({ peers: 3, threshold: 2 }).state(1);
  const told = (bytes: number) =>
    keepingProblems(state, { fill: { bytes, bytesMax: 192 * 2 ** 20 }, missing: [], newer: null });
  expect(told(96 * 2 ** 20)).toEqual([]);
  expect(told(97 * 2 ** 20)).toMatchObject([{ code: 'store-large' }]);
  expect(told(97 * 2 ** 20)[0]?.what).toContain('97 of at most 192 MB');
});

test('who asks for a value that this peer no longer keeps is told who has it', () => {
  const state = new Group({ peers: 3, threshold: 2 }).state(1);
  const keeping = (chains: CoreState['volatile']['chains']): CoreState => ({
    ...state,
    durable: { ...state.durable, own: { ...state.durable.own, oldest: 900 } },
    volatile: { ...state.volatile, chains },
  });
  const all = { head: 1_000, oldest: 0 };
  const few = { head: 1_000, oldest: 850 };
  expect(notKeptHere(keeping({ 'peer-0002': few, 'peer-0003': all }), 12)).toBe(
    'this peer keeps the values since epoch 900 only; p3 can show epoch 12: run the command there',
  );
  expect(notKeptHere(keeping({ 'peer-0002': few }), 12)).toContain(
    'no member that it reaches can show epoch 12',
  );
  expect(notKeptHere(keeping({ 'peer-0002': few }), 950)).toContain('epoch 950 is missing or damaged');
});
