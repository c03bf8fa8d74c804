/** The worker pool: long arithmetic must not hold up the event loop, or the peer looks dead to the others. */
import { Piscina } from 'piscina';
import type { CipherName } from '../../cipher/local-cipher.ts';
import type { Job, JobResult } from '../../protocol/machine/io.ts';
import type { Link } from '../../protocol/records/link.ts';
import { movedWith, type UseJob, type UseJobResult } from './use-jobs.ts';
import type { VerificationKeyHash } from './verification-keys.ts';

export interface Workers {
  compute(job: Job): Promise<JobResult>;
  use(job: UseJob): Promise<UseJobResult>;
  verificationKeys(link: Link, membersMax: number): Promise<VerificationKeyHash[]>;
  stop(): Promise<void>;
}

/** @param threads how many jobs run at the same time */
export function startWorkers(options: { threads: number; cipher: CipherName }): Workers {
  const { threads, cipher } = options;
  const file = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url).href;
  const pool = new Piscina({
    filename: file,
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: 60_000,
    maxQueue: 4096,
  });
  return {
    compute: (job) => pool.run({ job, cipher }),
    use: (job) => pool.run({ job, cipher }, { transferList: movedWith(job) }),
    verificationKeys: (link, membersMax) =>
      pool.run({ job: { kind: 'verification-keys', link, membersMax }, cipher }),
    stop: () => pool.destroy(),
  };
}
