import { defineConfig } from 'vitest/config';

const root = new URL('..', import.meta.url).pathname;
/** Groups of real processes: one at a time, after everything else, so that they do not starve each other. */
const processes = ['test/system/**/*.test.ts', 'test/lan/**/*.test.ts', 'test/cli/real-daemons.test.ts'];
const common = { root, pool: 'forks' as const, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    root,
    projects: [
      {
        test: {
          ...common,
          name: 'in one process',
          include: ['test/**/*.test.ts'],
          exclude: processes,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'real processes',
          include: processes,
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
