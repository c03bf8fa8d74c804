/** The simulator can fail: each rule, broken by one small change of the source, is caught within a few seeds. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { SabotageReport } from '../../src/simulation/sabotages/sabotage-main.ts';
import { sabotages } from '../../src/simulation/sabotages/sabotages.ts';

const run = promisify(execFile);
const pathOf = (file: string) =>
  fileURLToPath(new URL(`../../src/simulation/sabotages/${file}`, import.meta.url));

async function reportOn(name: string): Promise<SabotageReport> {
  const { stdout } = await run(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--import',
      pathOf('sabotage-hook.ts'),
      pathOf('sabotage-main.ts'),
    ],
    { env: { ...process.env, HOLDFAST_SABOTAGE: name } },
  );
  return JSON.parse(stdout) as SabotageReport;
}

/** What became of each, for the table of README.md. */
const caught = new Map<string, SabotageReport>();

afterAll(() => {
  for (const { name } of sabotages) {
    const report = caught.get(name);
    if (report !== undefined)
      process.stdout.write(`| ${name} | ${report.statement} | ${report.seeds ?? 'not caught'} |\n`);
  }
});

describe.concurrent('broken on purpose', { timeout: 300_000 }, () => {
  for (const { name, statements, seedsMax } of sabotages)
    test(`${name}: caught within ${seedsMax} seeds`, async () => {
      const report = await reportOn(name);
      caught.set(name, report);
      expect(report.seeds, report.what).not.toBeNull();
      expect(statements, report.what).toContain(report.statement);
    });
});
