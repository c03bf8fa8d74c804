/**
 * The flood of `test/simulation/longest.test.ts` in larger groups, each with as many liars as it bears; in
 * the largest with `HOLDFAST_LARGEST=1`, which takes minutes.
 */
import { expect, test } from 'vitest';
import { flooded } from '../../src/simulation/flooded.ts';

test.each([[20, 7, 6], [31, 11, 10], ...(process.env.HOLDFAST_LARGEST === '1' ? [[64, 22, 21]] : [])])(
  'of %i (k = %i) %i send the longest of everything: the group goes on, within its bound',
  async (peers, threshold, liars) => {
    const { violation, epochs, growth } = await flooded(peers, threshold, liars, 500);
    expect(violation).toBeNull();
    expect(epochs).toBeGreaterThanOrEqual(1);
    expect(growth).toBeLessThan(1);
  },
  1_800_000,
);
