/** `scripts/simulate`: runs many seeds, prints what was injected and decided, and the first seed that fails. */
import { parseArgs } from 'node:util';
import { lieNames } from './lies/library.ts';
import { optionsOf, type RunOptions } from './options.ts';
import { type RunResult, simulate } from './run.ts';
import { Tally } from './tally.ts';

const usage = `usage: scripts/simulate [--seeds N] [--from S] [--replay SEED] [--keep-going] [--json]
       and any option of a run: --peers N --threshold K --fault-model byzantine|crash --liars N --lies A,B
       --crashes N --partitions N --restores N --orders N --loss-rate 0.1 --duplicate-rate 0.1 --reorder-rate 0.1
       --delay-ms-max N --safety-ms N --liveness-ms N --files true|false --lies-last true|false
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    replay: { type: 'string' },
    json: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    ...Object.fromEntries(
      [
        ...[
          'peers',
          'threshold',
          'liars',
          'crashes',
          'partitions',
          'restores',
          'orders',
          'safety-ms',
          'liveness-ms',
        ],
        ...[
          'loss-rate',
          'duplicate-rate',
          'reorder-rate',
          'delay-ms-max',
          'fault-model',
          'lies',
          'files',
          'lies-last',
        ],
      ].map((name) => [name, { type: 'string' as const }]),
    ),
  },
});
const given = values as Record<string, string | boolean | undefined>;

function fixedOptions(): Partial<RunOptions> {
  const fixed: Record<string, unknown> = {};
  for (const name of Object.keys(optionsOf(1))) {
    const text = given[name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)];
    if (typeof text !== 'string' || name === 'seed') continue;
    if (name === 'lies') fixed[name] = text.split(',');
    else if (name === 'faultModel') fixed[name] = text;
    else fixed[name] = text === 'true' || text === 'false' ? text === 'true' : Number(text);
  }
  return fixed as Partial<RunOptions>;
}

const describe = ({ options, violation, history }: RunResult): string =>
  `seed ${options.seed}: ${violation?.message}\n  history ${history}, options ${JSON.stringify({ ...options, lies: options.lies === lieNames ? 'all' : options.lies })}\n` +
  `  again: scripts/simulate --replay ${options.seed}${runOptions()}`;

/** The options of a run as they were given, for the line that repeats it. */
const runOptions = (): string =>
  Object.entries(given)
    .filter(([name, value]) => typeof value === 'string' && !['seeds', 'from', 'replay'].includes(name))
    .map(([name, value]) => ` --${name} ${value}`)
    .join('');

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const fixed = fixedOptions();
  if (values.replay !== undefined) {
    const result = await simulate(optionsOf(Number(values.replay), fixed), (atMs, peer, what) =>
      process.stdout.write(`${atMs.toFixed(0).padStart(7)} ${peer.padEnd(4)} ${what}\n`),
    );
    process.stdout.write(
      result.violation ? `\n${describe(result)}\n` : `\nno violation; history ${result.history}\n`,
    );
    return result.violation ? 1 : 0;
  }

  const [from, seeds] = [Number(values.from), Number(values.seeds)];
  const faults = new Tally();
  const failures: RunResult[] = [];
  let epochs = 0;
  let ran = 0;
  let virtualMs = 0;
  const startedMs = performance.now();
  for (let seed = from; seed < from + seeds; seed += 1) {
    const result = await simulate(optionsOf(seed, fixed));
    ran += 1;
    epochs += result.epochs;
    virtualMs += result.virtualMs;
    faults.add(result.faults.counts);
    if (result.violation === null) continue;
    failures.push(result);
    process.stderr.write(`${describe(result)}\n`);
    if (!values['keep-going']) break;
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const summary = {
    seeds: ran,
    failures: failures.map(({ options, violation }) => ({
      seed: options.seed,
      statement: violation?.statement,
      what: violation?.message,
      options,
    })),
    epochs,
    virtualHours: Number((virtualMs / 3_600_000).toFixed(2)),
    seconds: Number(seconds.toFixed(1)),
    faults: Object.fromEntries([...faults.counts].sort()),
  };
  if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else {
    for (const [what, count] of Object.entries(summary.faults))
      process.stdout.write(`${what.padEnd(34)} ${String(count).padStart(9)}\n`);
    process.stdout.write(
      `\n${ran} seeds from ${from}, ${epochs} epochs decided, ${summary.virtualHours} hours of virtual time in ` +
        `${summary.seconds} s (${(ran / seconds).toFixed(1)} runs a second): ${failures.length} failed\n`,
    );
  }
  return failures.length > 0 ? 1 : 0;
}

process.exitCode = await main();
