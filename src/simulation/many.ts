/** Many runs on several threads. What comes of a seed does not depend on the thread or on the order. */
import { Piscina } from 'piscina';
import type { RunReport } from './run.ts';
import { Counters } from './world/counters.ts';
import type { RunOptions } from './world/run-options.ts';

interface ManyOptions {
  from: number;
  seeds: number;
  threads: number;
  fixed: Partial<RunOptions>;
  /** Whether to go on after a seed that failed. */
  keepGoing: boolean;
  onReport?: (report: RunReport) => void;
  onFailure?: (report: RunReport) => void;
  /** Ends the runs early, after those under way. */
  signal?: AbortSignal;
  /** Called after every `progressEvery` seeds. */
  onProgress?: (soFar: { seeds: number; failures: number; seconds: number }) => void;
}

const progressEvery = 500;

export interface Summary {
  seeds: number;
  failures: RunReport[];
  epochs: number;
  virtualMs: number;
  seconds: number;
  /** Runs by the number of peers. */
  peers: Counters;
  /** Runs by fault model, by how many lie, and by who was suspended, slept or was reinstated. */
  kinds: Counters;
  faults: Counters;
}

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
