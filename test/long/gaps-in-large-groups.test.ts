/** As test/simulation/gaps.test.ts, in the largest groups: six, ten and twenty-one liars. */
import { expect, test } from 'vitest';
import { gapsIn } from '../simulation/gaps.ts';

for (const [peers, threshold, liars] of [
  [20, 7, 6],
  [31, 11, 10],
  [64, 22, 21],
] as const)
  test(`${liars} liars with a gap on either side do not stop ${threshold}-of-${peers}`, async () => {
    const { violation, epochs, faults } = await gapsIn(peers, threshold, liars);
    expect(violation?.message ?? null).toBeNull();
    expect(epochs).toBeGreaterThan(0);
    expect(faults.counts.get('lie: a-gap-on-either-side')).toBeGreaterThan(0);
  });
