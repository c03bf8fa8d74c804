/** A worker thread's entry: one job in, its result out. Secrets cross as copies and die with the job. */
import { randomBytes } from 'node:crypto';
import type { CipherName } from '../../cipher/local-cipher.ts';
import type { Job, JobResult } from '../../protocol/machine/io.ts';
import type { Link } from '../../protocol/records/link.ts';
import { runJob } from './change-jobs.ts';
import { causeOf } from './job-failure.ts';
import { runUseJob, type UseJob, type UseJobResult } from './use-jobs.ts';
import { type VerificationKeyHash, verificationKeysIn } from './verification-keys.ts';

export default function work({
  job,
  cipher,
}: {
  job: Job | UseJob | { kind: 'verification-keys'; link: Link; membersMax: number };
  cipher: CipherName;
}): JobResult | UseJobResult | VerificationKeyHash[] {
  if (job.kind === 'verification-keys') return verificationKeysIn(job.link, job.membersMax);
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  if (job.kind === 'use-partial' || job.kind === 'use-combine')
    return runUseJob(job, { cipher, randomBytes: random });
  try {
    return runJob(job, { cipher, randomBytes: random });
  } catch (error) {
    return { kind: 'failed', cause: causeOf(error) }; // here an error still has its own name
  }
}
