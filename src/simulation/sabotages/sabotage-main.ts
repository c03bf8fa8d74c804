/**
 * Runs seeds of a sabotaged group until one fails, and prints one line of JSON. It is started with `--import
 * sabotage-hook.ts`.
 */
import { optionsOf } from '../options.ts';
import { simulate } from '../run.ts';
import { sabotages } from './sabotages.ts';

/** The line that the process prints. */
export interface SabotageReport {
  /** How many seeds ran until one failed. Null when none failed. */
  seeds: number | null;
  statement: string;
  what: string;
}

async function report(): Promise<SabotageReport> {
  const sabotage = sabotages.find(({ name }) => name === process.env.HOLDFAST_SABOTAGE);
  if (sabotage === undefined) throw new Error('HOLDFAST_SABOTAGE names no sabotage');
  for (let seed = 1; seed <= sabotage.seedsMax; seed += 1) {
    try {
      const { violation } = await simulate(optionsOf(seed, sabotage.options));
      if (violation !== null) return { seeds: seed, statement: violation.statement, what: violation.message };
    } catch (error) {
      // A group without faults did not even get its first key.
      return { seeds: seed, statement: '5', what: (error as Error).message };
    }
  }
  return { seeds: null, statement: '', what: 'not caught' };
}

process.stdout.write(`${JSON.stringify(await report())}\n`);
process.exit(0);
