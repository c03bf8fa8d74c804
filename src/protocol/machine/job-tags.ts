/**
 * The purpose of a job and its tag: `job/about/item`. The core knows a job by its tag while it runs and when
 * it fails, and its result comes back with the tag. Only this file builds and reads tags.
 */
import assert from 'node:assert/strict';
import type { Hex } from '../records/codec.ts';

/** A run of a recovery (§5): the index of the member that recovers, and the run's hash. */
export interface OfRun {
  recoverer: number;
  run: Hex;
}

interface About {
  deal: { plan: Hex };
  seal: { plan: Hex };
  check: { plan: Hex };
  /** `digest`: of the dealing. */
  'judge-parts': { plan: Hex; digest: Hex };
  /** `set`: the accepted dealings, by a hash over them. */
  'sum-keys': { plan: Hex; set: Hex };
  /** `from`: the peer that sent the proof. */
  'judge-retire': { epoch: number; from: string };
  apply: { epoch: number };
  trial: { epoch: number };
  /** `members` are the members whose trials are combined. */
  'combine-trial': { epoch: number; members: readonly number[] };
  mask: OfRun;
  'mask-seal': OfRun;
  'mask-check': OfRun;
  sum: OfRun;
  recover: { epoch: number; run: Hex };
}
type JobName = keyof About;

/** The purpose of a job. After a batch has failed, `item` is the item that this job tries alone. */
export type JobAbout = { [Name in JobName]: { job: Name; item?: string | number } & About[Name] }[JobName];
export type JobTag = `${JobName}/${string}`;

/** The tag of a job. */
export function jobTag(about: JobAbout): JobTag {
  const parts = [...partsOf(about), ...(about.item === undefined ? [] : [about.item])];
  return `${about.job}/${parts.join('/')}`;
}

function partsOf(about: JobAbout): Array<string | number> {
  switch (about.job) {
    case 'deal':
    case 'seal':
    case 'check':
      return [about.plan];
    case 'judge-parts':
      return [about.plan, about.digest];
    case 'sum-keys':
      return [about.plan, about.set];
    case 'judge-retire':
      return [about.epoch, about.from];
    case 'apply':
    case 'trial':
      return [about.epoch];
    case 'combine-trial':
      return [about.epoch, about.members.join('.')];
    case 'mask':
    case 'mask-seal':
    case 'mask-check':
    case 'sum':
      return [about.recoverer, about.run];
    case 'recover':
      return [about.epoch, about.run];
  }
}

/** The inverse of `jobTag`, for tags that `jobTag` built. @throws AssertionError for any other text */
export function readJobTag(tag: string): JobAbout {
  const [job, first = '', ...rest] = tag.split('/');
  const [second = ''] = rest;
  switch (job) {
    case 'deal':
    case 'seal':
    case 'check':
      return { job, plan: first, ...itemIn(rest) };
    case 'judge-parts':
      return { job, plan: first, digest: second };
    case 'sum-keys':
      return { job, plan: first, set: second };
    case 'judge-retire':
      return { job, epoch: Number(first), from: second };
    case 'apply':
    case 'trial':
      return { job, epoch: Number(first) };
    case 'combine-trial':
      return { job, epoch: Number(first), members: second.split('.').map(Number), ...itemIn(rest.slice(1)) };
    case 'mask':
    case 'mask-seal':
    case 'mask-check':
    case 'sum':
      return { job, recoverer: Number(first), run: second, ...itemIn(rest.slice(1)) };
    case 'recover':
      return { job, epoch: Number(first), run: second, ...itemIn(rest.slice(1)) };
    default:
      assert.fail(`${tag} is the tag of a job`);
  }
}

const itemIn = ([item]: readonly string[]): { item?: string } => (item === undefined ? {} : { item });
