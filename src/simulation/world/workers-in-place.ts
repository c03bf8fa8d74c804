/** The workers of a daemon without threads. Each job is computed in place, after `begin` resolves. */
import { type JobContext, runJob } from '../../node/jobs/change-jobs.ts';
import { movedWith, runUseJob } from '../../node/jobs/use-jobs.ts';
import { verificationKeysIn } from '../../node/jobs/verification-keys.ts';
import type { Workers } from '../../node/jobs/workers.ts';

export const workersInPlace = (context: JobContext, begin: () => Promise<void>): Workers => ({
  async compute(job) {
    await begin();
    return runJob(job, context);
  },
  async use(job) {
    await begin();
    // As on its way to a thread.
    return runUseJob(structuredClone(job, { transfer: movedWith(job) }), context);
  },
  verificationKeys: async (link, membersMax) => verificationKeysIn(link, membersMax),
  stop: async () => {},
});
