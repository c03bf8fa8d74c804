/** What a member keeps in its sealed store does not grow with the epochs, whatever one member adds to it in each. */
import { expect, test } from 'vitest';
import { retainedBytesMax } from '../../src/protocol/machine/retention.ts';
import { manyEpochs, type Report } from '../../src/simulation/many-epochs.ts';

test('after a thousand epochs with a liar the sealed store is as large as after two hundred', {
  timeout: 900_000,
}, async () => {
  const reports: Report[] = [];
  await manyEpochs({
    epochs: 1_000,
    liar: true,
    reportAt: (done) => done >= 200 && done % 50 === 0,
    onReport: (report) => reports.push(report),
  });
  expect(reports).toHaveLength(17);
  const sizes = reports.map(({ sealedBytes }) => sealedBytes);
  expect(Math.max(...sizes)).toBeLessThan(Math.min(...sizes) * 1.1);
  // Besides: shares, keys and Readys of the newest epoch.
  for (const { sealedBytes } of reports)
    expect(sealedBytes).toBeLessThan(retainedBytesMax(4, 6_000, 2_000) + 8_000);
  for (const { linksInMemory } of reports) expect(linksInMemory).toBeLessThanOrEqual(10);
});
