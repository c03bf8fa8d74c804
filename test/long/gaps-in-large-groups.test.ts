/** As test/simulation/gaps.test.ts, in larger groups; in the largest with `HOLDFAST_LARGEST=1`, which takes minutes. */
import { expect, test } from 'vitest';
import { gapsIn } from '../../src/simulation/gaps.ts';

for (const [peers, threshold, liars] of [
  [20, 7, 6],
  [31, 11, 10],
  ...(process.env.HOLDFAST_LARGEST === '1' ? [[64, 22, 21] as const] : []),
] as const)
  test(`${liars} liars with a gap on either side do not stop ${threshold}-of-${peers}`, async () => {
    const { violation, epochs, faults } = await gapsIn(peers, threshold, liars);
    expect(violation?.message ?? null).toBeNull();
    expect(epochs).toBeGreaterThan(0);
    expect(faults.counts.get('lie: a-gap-on-either-side')).toBeGreaterThan(0);
  });
