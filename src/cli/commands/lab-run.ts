/** `holdfast lab run`: tells a story with a fresh group. */
import { randomInt } from 'node:crypto';
import { Command } from 'commander';
import type { SafePrimes } from '../../lab/lab.ts';
import type { Chance, Scenario } from '../../lab/scenario.ts';
import { optionsOf, wholeNumber } from '../context.ts';
import { primesOption, sourceOf } from '../labs.ts';
import { CommandError, progress, say, sayJson, sayTable, strong } from '../terminal.ts';

interface RunOptions {
  quiet: boolean;
  bits: number;
  primesFile?: string;
  times?: number;
  seed?: number;
}

export const labRunCommand = (): Command =>
  new Command('run')
    .description('tell a story with a fresh group, checking every claim; without a name: list the stories')
    .argument('[scenario]')
    .option('--quiet', 'only the claims, without what goes on at each peer', false)
    .option('--times <n>', 'how often it happens, in a story that leaves something to chance', wholeNumber)
    .option('--seed <n>', 'what chance follows from, there; printed when it is not given', wholeNumber)
    .option('--bits <bits>', 'size of the key', wholeNumber, 2048)
    .addOption(primesOption())
    .action(async (name: string | undefined, _, command: Command) => {
      const { scenarios } = await import('../../lab/scenarios.ts');
      const { quiet, bits, primesFile, times, seed, json } = optionsOf<RunOptions>(command);
      if (name === undefined) {
        if (json)
          return sayJson({ scenarios: scenarios.map((one) => ({ name: one.name, about: one.about })) });
        return sayTable(
          ['scenario', 'what happens'],
          scenarios.map((one) => [one.name, one.about]),
        );
      }
      const scenario = scenarios.find((one) => one.name === name);
      if (scenario === undefined)
        throw new CommandError(
          'usage',
          `there is no scenario ${name}; there are ${scenarios.map((one) => one.name).join(', ')}`,
        );
      if (scenario.times === undefined && (times !== undefined || seed !== undefined))
        throw new CommandError(
          'usage',
          `the story ${name} leaves nothing to chance; leave out --times and --seed`,
        );
      const source = await sourceOf(primesFile, bits);
      const chance = { times: times ?? scenario.times ?? 0, seed: seed ?? randomInt(2 ** 31) };
      const report: Report = {
        ...{ scenario: name, about: scenario.about, skipped: null, steps: [] },
        chance: scenario.times === undefined ? null : chance,
      };
      try {
        await tell(scenario, { quiet, json, source, chance, report });
      } finally {
        if (json) sayJson(report);
      }
    });

/** The document for `--json`. It is also printed when a claim does not hold and the story stops. */
interface Report {
  scenario: string;
  about: string;
  /** Why this machine cannot show the story; null when it can. */
  skipped: string | null;
  chance: Chance | null;
  steps: Array<{ claim: string; holds: boolean; seconds: number; seen: string[] }>;
}

interface Telling {
  quiet: boolean;
  json: boolean;
  source: number | SafePrimes;
  chance: Chance;
  report: Report;
}

async function tell(scenario: Scenario, { quiet, json, source, chance, report }: Telling): Promise<void> {
  const { stage } = await import('../../lab/scenario.ts');
  const { watch } = await import('../../lab/watch.ts');
  const { whatForbidsLan } = await import('../../lab/lan.ts');
  const line = json ? progress : say;
  report.skipped = scenario.machines > 0 ? whatForbidsLan() : null;
  if (report.skipped !== null)
    return line(`skipped: this machine forbids network namespaces: ${report.skipped}`);
  line(strong(`${scenario.name}: ${scenario.about}`));
  progress(`a ${scenario.group.threshold}-of-${scenario.group.peers} group is made, with a key…`);
  const lab = await stage(scenario, source);
  process.once('SIGINT', () => process.exit(130));
  const observer = quiet ? null : watch(lab, (what) => progress(`  ${what}`));
  try {
    for (const { claim, run } of scenario.steps(chance)) {
      const startedAtMs = performance.now();
      const step = { claim, holds: false, seconds: 0, seen: [] as string[] };
      report.steps.push(step);
      await run(lab, (what) => {
        step.seen.push(what);
        line(`  ${what}`);
      })
        .then(() => {
          step.holds = true;
        })
        .catch((error: Error) => {
          throw new CommandError('failed', `not shown: ${claim}: ${error.message}`);
        })
        .finally(() => {
          step.seconds = Math.round(performance.now() - startedAtMs) / 1000;
        });
      line(`✓ ${claim} (${step.seconds.toFixed(1)} s)`);
    }
  } finally {
    await observer?.stop();
    await lab.close();
  }
}
