/** Protocol §7 in seeded histories: faults of network, disk and machines, and members that lie; then everything must finish. */
import { expect, test } from 'vitest';
import { type LieName, lieNames } from './lies/library.ts';
import { optionsOf } from './options.ts';
import { type RunResult, simulate } from './run.ts';

/** More of them: `HOLDFAST_SEEDS=2000`, or `scripts/simulate --seeds 2000`. */
const seeds = Number(process.env.HOLDFAST_SEEDS ?? 40);
const timeoutMs = 120_000 + seeds * 3_000;

const failureOf = ({ options, violation }: RunResult): string | null =>
  violation && `seed ${options.seed}: ${violation.message}\noptions ${JSON.stringify(options)}`;

test(`what must always hold holds in ${seeds} histories, and each of them finishes`, {
  timeout: timeoutMs,
}, async () => {
  let epochs = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const result = await simulate(optionsOf(seed));
    expect(failureOf(result)).toBeNull();
    epochs += result.epochs;
  }
  expect(epochs).toBeGreaterThan(seeds);
});

/** Lies that only a certain moment brings out: recovery, or the liar's turn to lead. */
const momentOf: Partial<Record<LieName, Parameters<typeof optionsOf>[1]>> = {
  'no-proposal': { safetyMs: 8_000 },
};

test('every lie of the library can be told, and does no harm', { timeout: timeoutMs }, async () => {
  const untold: string[] = [];
  for (const lie of lieNames) {
    let told = 0;
    for (let seed = 1; seed <= 4 && told === 0; seed += 1) {
      const small = {
        peers: 4,
        threshold: 2,
        faultModel: 'byzantine',
        restores: 0,
        orders: 0,
        files: false,
      } as const;
      const result = await simulate(
        optionsOf(seed, { ...small, liars: 1, crashes: 3, lies: [lie], liesLast: true, ...momentOf[lie] }),
      );
      expect(failureOf(result)).toBeNull();
      told = result.faults.counts.get(`lie: ${lie}`) ?? 0;
    }
    if (told === 0) untold.push(lie);
  }
  expect(untold).toEqual([]);
});

test('a seed gives the same history again', async () => {
  const options = optionsOf(7, { peers: 4, liars: 1, restores: 0, crashes: 3, partitions: 1, files: true });
  const [first, second] = [await simulate(options), await simulate(options)];
  expect(second.history).toBe(first.history);
  expect(second.faults.counts).toEqual(first.faults.counts);
  expect(second.virtualMs).toBe(first.virtualMs);
});
