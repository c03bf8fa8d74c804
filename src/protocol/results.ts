/** What workers found out: the door of each job's result. */
import assert from 'node:assert/strict';
import { applied, combined, tried } from './change/apply.ts';
import { partsJudged } from './change/created-parts.ts';
import { dealt, sealed } from './change/deal.ts';
import { summedKeys } from './change/next-keys.ts';
import { retireJudged } from './change/retire-proof.ts';
import { checked } from './change/sub-shares.ts';
import { jobDone, jobFailed } from './machine/failing-jobs.ts';
import type { JobResult } from './machine/io.ts';
import { type JobAbout, type JobTag, readJobTag } from './machine/job-tags.ts';
import type { PrintedByInput } from './machine/rule-names.ts';
import type { Work } from './machine/work.ts';
import { masked, maskSealed, masksChecked } from './recovery/helping.ts';
import { isProbe, recovered } from './recovery/interpolating.ts';
import { summed } from './recovery/summing.ts';

/**
 * A job has ended. Its tag says what it was for; one that no longer matters is dropped by the function that
 * takes it.
 */
export function takeResult(work: Work<PrintedByInput<'computed'>>, tag: JobTag, result: JobResult): void {
  const about = readJobTag(tag);
  const { [tag]: _, ...others } = work.volatile.jobs;
  work.volatile.jobs = isVain(about, result) ? { ...others, [tag]: 'vain' } : others;
  if (result.kind !== 'failed') jobDone(work, tag);
  switch (result.kind) {
    case 'deal':
      if (about.job === 'deal') return dealt(work, about.plan, result);
      if (about.job === 'mask') return masked(work, about, result);
      break;
    case 'seal':
      if (about.job === 'seal') return sealed(work, about.plan, result);
      if (about.job === 'mask-seal') return maskSealed(work, about, result);
      break;
    case 'check':
      if (about.job === 'check') return checked(work, about.plan, result);
      if (about.job === 'mask-check') return masksChecked(work, about, result);
      break;
    case 'judge-parts':
      if (about.job === 'judge-parts') return partsJudged(work, about.plan, about.digest, result.isTrue);
      break;
    case 'sum-keys':
      if (about.job === 'sum-keys') return summedKeys(work, about.plan, about.set, result.sums);
      break;
    case 'judge-retire':
      if (about.job === 'judge-retire') return retireJudged(work, about.epoch, about.from, result.isTrue);
      break;
    case 'apply':
      if (about.job === 'apply') return applied(work, about.epoch, result);
      break;
    case 'trial':
      if (about.job === 'trial') return tried(work, about.epoch, result.trials);
      break;
    case 'combine-trial':
      if (about.job === 'combine-trial') return combined(work, about.epoch, result);
      break;
    case 'sum':
      if (about.job === 'sum') return summed(work, about, result);
      break;
    case 'recover':
      if (about.job === 'recover') return recovered(work, about, result);
      break;
    case 'failed':
      return jobFailed(work, tag, result.cause);
  }
  assert.fail(`a job with the tag ${tag} has a result of its own kind, not ${result.kind}`);
}

/** Results that the same job would give again: its tag stays taken, so that no rule asks in a circle. */
const isVain = (about: JobAbout, result: JobResult): boolean =>
  (result.kind === 'recover' && isProbe(about)) ||
  (result.kind === 'apply' && result.shares === null) ||
  (result.kind === 'combine-trial' && result.proofs === null && result.culprits.length === 0);
