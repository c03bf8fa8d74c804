/** Liars that deal to all but one, and list all but one, stop neither an epoch change nor a recovery. */
import { expect, test } from 'vitest';
import { gapsIn } from '../../src/simulation/gaps.ts';

test('five liars with a gap on either side do not stop 6-of-16', { timeout: 240_000 }, async () => {
  const { violation, epochs, faults } = await gapsIn(16, 6, 5);
  expect(violation?.message ?? null).toBeNull();
  expect(epochs).toBeGreaterThan(0);
  expect(faults.counts.get('lie: a-gap-on-either-side')).toBeGreaterThan(0);
});
