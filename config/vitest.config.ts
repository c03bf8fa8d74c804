import { defineConfig } from 'vitest/config';

const root = new URL('..', import.meta.url).pathname;
/**
 * Groups of real processes. They run one at a time after all other tests, so that they do not starve each
 * other.
 */
const processes = ['test/system/**/*.test.ts', 'test/cli/real-daemons.test.ts'];
/**
 * Tests that take minutes, or that would make the others take more than eight. Only `scripts/test --all` runs
 * them, at the end.
 */
const long = [
  'test/long/**/*.test.ts',
  'test/lan/**/*.test.ts',
  'test/system/join-and-leave.test.ts',
  'test/system/more-keys.test.ts',
  'test/system/wrong-clock.test.ts',
];
const common = { root, pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 60_000 };
const oneAtATime = { maxWorkers: 1, fileParallelism: false };

export default defineConfig({
  test: {
    root,
    projects: [
      {
        test: {
          ...common,
          name: 'in one process',
          include: ['test/**/*.test.ts'],
          exclude: [...processes, ...long],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          ...oneAtATime,
          name: 'real processes',
          include: processes,
          exclude: long,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      ...(process.env.HOLDFAST_ALL === '1'
        ? [
            {
              test: {
                ...common,
                ...oneAtATime,
                name: 'long',
                include: long,
                testTimeout: 1_200_000,
                hookTimeout: 1_200_000,
                sequence: { groupOrder: 2 },
              },
            },
          ]
        : []),
    ],
  },
});
