/** Many runs on several threads. The result of a seed does not depend on the thread or on the order. */
import { Piscina } from 'piscina';
import type { RunReport } from './run.ts';
import { Counters } from './world/counters.ts';
import type { RunOptions } from './world/run-options.ts';

interface ManyOptions {
  from: number;
  seeds: number;
  threads: number;
  fixed: Partial<RunOptions>;
  /** The runs go on after a seed that failed. */
  keepGoing: boolean;
  onReport?: (report: RunReport) => void;
  onFailure?: (report: RunReport) => void;
  /** Starts no more runs. The runs under way are finished. */
  signal?: AbortSignal;
  /** Called after every `progressEvery` seeds. */
  onProgress?: (soFar: { seeds: number; failures: number; seconds: number }) => void;
}

const progressEvery = 500;

/** The sums of all runs. */
export interface Summary {
  seeds: number;
  failures: RunReport[];
  epochs: number;
  virtualMs: number;
  seconds: number;
  /** How many runs had each number of peers. */
  peers: Counters;
  /** How many runs had each fault model, each kind of liars, and each kind of absence. */
  kinds: Counters;
  faults: Counters;
}

/** Runs the seeds `from` to `from + seeds − 1`. `fixed` has options that the seeds do not draw. */
export async function simulateMany(options: ManyOptions): Promise<Summary> {
  const { from, seeds, threads, fixed, keepGoing } = options;
  const pool = new Piscina<{ seed: number; fixed: Partial<RunOptions> }, RunReport>({
    filename: new URL('./seeds-worker.ts', import.meta.url).href,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    minThreads: threads,
    maxThreads: threads,
  });
  const startedMs = performance.now();
  const summary: Summary = {
    seeds: 0,
    failures: [],
    epochs: 0,
    virtualMs: 0,
    seconds: 0,
    peers: new Counters(),
    kinds: new Counters(),
    faults: new Counters(),
  };
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  let next = from;
  const thread = async (): Promise<void> => {
    while (
      next < from + seeds &&
      (keepGoing || summary.failures.length === 0) &&
      options.signal?.aborted !== true
    ) {
      const seed = next;
      next += 1;
      const report = await pool.run({ seed, fixed });
      options.onReport?.(report);
      summary.seeds += 1;
      summary.epochs += report.epochs;
      summary.virtualMs += report.virtualMs;
      summary.peers.count(`${report.options.peers} peers`);
      summary.kinds.count(report.options.faultModel);
      summary.kinds.count(report.kind);
      for (const what of report.absences) summary.kinds.count(what);
      summary.faults.add(report.faults);
      if (report.violation !== null) {
        summary.failures.push(report);
        options.onFailure?.(report);
      }
      if (summary.seeds % progressEvery === 0)
        options.onProgress?.({
          seeds: summary.seeds,
          failures: summary.failures.length,
          seconds: seconds(),
        });
    }
  };
  try {
    await Promise.all(Array.from({ length: threads }, thread));
  } finally {
    await pool.destroy();
  }
  summary.seconds = seconds();
  return summary;
}
