/**
 * §7.6: as many liars as the group bears send the longest messages of every kind, and no honest store passes
 * its bound.
 */
import { expect, test } from 'vitest';
import { flooded } from '../../src/simulation/flooded.ts';

test('five of sixteen send the longest of everything: the group goes on, and no store grows past its bound', async () => {
  const { violation, epochs, growth, faults } = await flooded(16, 6, 5, 1_500);
  expect(violation).toBeNull();
  expect(epochs).toBeGreaterThanOrEqual(2);
  expect(growth).toBeGreaterThan(0);
  expect(growth).toBeLessThan(1);
  expect([...faults.counts].some(([what]) => what.includes('the-longest-of-everything'))).toBe(true);
}, 120_000);
