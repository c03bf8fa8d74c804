/**
 * The program of `scripts/simulate`. It runs many seeds, and prints the faults, the decisions, and each seed
 * that fails.
 */

import { availableParallelism } from 'node:os';
import { lieNames } from '../../src/simulation/lies/library.ts';
import { type Summary, simulateMany } from '../../src/simulation/many.ts';
import { manyEpochs } from '../../src/simulation/many-epochs.ts';
import { optionsOf } from '../../src/simulation/options.ts';
import { type RunReport, reportOf, simulate } from '../../src/simulation/run.ts';
import type { Counters } from '../../src/simulation/world/counters.ts';
import type { RunOptions } from '../../src/simulation/world/run-options.ts';
import { argumentsOf, refuseUsage } from '../arguments.ts';

const script = 'scripts/simulate';
const usage = `[--seeds N] [--from S] [--replay SEED] [--keep-going] [--json] [--threads N]
       scripts/simulate --epochs N [--liar]     N epochs of one group of three, and how large a store gets; --liar: a
       fourth member adds to it at will
       and any option of a run: --peers N --threshold K --fault-model byzantine|crash --liars N --lies A,B
       --crashes N --partitions N --restores N --orders N --loss-rate 0.1 --duplicate-rate 0.1 --reorder-rate 0.1
       --delay-ms-max N --safety-ms N --liveness-ms N --gate 0.3 --worker-deaths 0.3 --dying true|false --files true|false
       --lies-last true|false --dead N --dead-in-mid-change true|false --alliance NAME
       --sleepers N --absent-epochs-max N --reinstates true|false --rests true|false --joint-keys true|false
`;

const { values } = argumentsOf(script, usage, {
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    replay: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    epochs: { type: 'string' },
    liar: { type: 'boolean', default: false },
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
          'gate',
          'worker-deaths',
          'dying',
          'alliance',
          'dead',
          'dead-in-mid-change',
          'absent-epochs-max',
          'sleepers',
          'reinstates',
          'rests',
          'joint-keys',
        ],
      ].map((name) => [name, { type: 'string' as const }]),
    ),
  },
});
const given = values as Record<string, string | boolean | undefined>;

/** The number that an option was given. Anything else ends the process with a usage error. */
function numberOf(option: string, text: string): number {
  const number = Number(text);
  return text.trim() !== '' && Number.isFinite(number)
    ? number
    : refuseUsage(script, `--${option} must be a number (it is ${JSON.stringify(text)})`);
}

function fixedOptions(): Partial<RunOptions> {
  const fixed: Record<string, unknown> = {};
  for (const name of Object.keys(optionsOf(1))) {
    const option = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const text = given[option];
    if (typeof text !== 'string' || name === 'seed') continue;
    if (name === 'lies') fixed[name] = text.split(',');
    else if (name === 'faultModel' || name === 'alliance') fixed[name] = text;
    else fixed[name] = text === 'true' || text === 'false' ? text === 'true' : numberOf(option, text);
  }
  return fixed as Partial<RunOptions>;
}

const describe = ({ options, violation, history }: RunReport): string =>
  `seed ${options.seed}: ${violation?.message}\n  history ${history}, options ${JSON.stringify({ ...options, lies: options.lies.length === lieNames.length ? 'all' : options.lies })}\n` +
  `  again: scripts/simulate --replay ${options.seed}${runOptions()}`;

/** The options of a run as they were given, for the line that repeats the run. */
const runOptions = (): string =>
  Object.entries(given)
    .filter(
      ([name, value]) => typeof value === 'string' && !['seeds', 'from', 'replay', 'threads'].includes(name),
    )
    .map(([name, value]) => ` --${name} ${value}`)
    .join('');

async function main(): Promise<number> {
  if (typeof values.epochs === 'string') {
    await tellManyEpochs(numberOf('epochs', values.epochs), values.liar);
    return 0;
  }
  const fixed = fixedOptions();
  if (values.replay !== undefined) {
    const result = await simulate(optionsOf(numberOf('replay', values.replay), fixed), (atMs, peer, what) =>
      process.stdout.write(`${atMs.toFixed(0).padStart(7)} ${peer.padEnd(4)} ${what}\n`),
    );
    process.stdout.write(
      result.violation ? `\n${describe(reportOf(result))}\n` : `\nno violation; history ${result.history}\n`,
    );
    return result.violation ? 1 : 0;
  }

  // After Ctrl-C a long run ends with the figures so far.
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  const summary = await simulateMany({
    signal: interrupted.signal,
    from: numberOf('from', values.from),
    seeds: numberOf('seeds', values.seeds),
    threads: numberOf('threads', values.threads),
    fixed,
    keepGoing: values['keep-going'],
    onFailure: (report) => process.stderr.write(`${describe(report)}\n`),
    onProgress: ({ seeds, failures, seconds }) =>
      process.stderr.write(
        `${seeds} of ${values.seeds} seeds in ${seconds.toFixed(0)} s, ${failures} failed\n`,
      ),
  });
  process.stdout.write(values.json ? `${JSON.stringify(jsonOf(summary))}\n` : textOf(summary));
  return summary.failures.length > 0 ? 1 : 0;
}

/** Prints the sizes at every power of ten and at the end. */
async function tellManyEpochs(epochs: number, liar: boolean): Promise<void> {
  const began = Date.now();
  await manyEpochs({
    ...{ epochs, liar },
    reportAt: (done) => done === epochs || /^10+$/.test(String(done)),
    onReport: ({ epoch, sealedBytes, byKind, linksInMemory }) =>
      process.stdout.write(
        `epoch ${epoch}: ${sealedBytes} bytes sealed, ${linksInMemory} links and proofs in memory, after ` +
          `${((Date.now() - began) / 1000).toFixed(0)} s  ${JSON.stringify(byKind)}\n`,
      ),
  });
}

const jsonOf = (summary: Summary) => ({
  ...summary,
  peers: Object.fromEntries(summary.peers.counts),
  kinds: Object.fromEntries(summary.kinds.counts),
  faults: Object.fromEntries([...summary.faults.counts].sort()),
});

function textOf({ seeds, failures, epochs, virtualMs, seconds, peers, kinds, faults }: Summary): string {
  const table = (counters: Counters) =>
    [...counters.counts]
      .sort(([one], [other]) => one.localeCompare(other, 'en', { numeric: true }))
      .map(([what, count]) => `${what.padEnd(40)} ${String(count).padStart(9)}\n`)
      .join('');
  return (
    `${table(peers)}${table(kinds)}\n${table(faults)}\n${seeds} seeds from ${values.from}, ${epochs} epochs decided, ` +
    `${(virtualMs / 3_600_000).toFixed(2)} hours of virtual time in ${seconds.toFixed(1)} s ` +
    `(${(seeds / seconds).toFixed(1)} runs a second): ${failures.length} failed\n`
  );
}

process.exitCode = await main();
