/**
 * What a job is for, and the tag by which it is known while it runs and fails, and by which its result comes back:
 * `job/about/item`. Tags are built and read here only.
 */
import assert from 'node:assert/strict';
import type { Hex } from '../records/codec.ts';

export interface OfRun {
  recoverer: number;
  run: Hex;
}

interface About {
  deal: { plan: Hex };
  seal: { plan: Hex };
  check: { plan: Hex };
  apply: { epoch: number };
  trial: { epoch: number };
  /** `members`: whose trials are combined. */
  'combine-trial': { epoch: number; members: readonly number[] };
  mask: OfRun;
  'mask-seal': OfRun;
  'mask-check': OfRun;
  sum: OfRun;
  recover: { epoch: number; run: Hex };
}
type JobName = keyof About;

/** `item`: of a batch that failed, the one that this job tries alone. */
export type JobAbout = { [Name in JobName]: { job: Name; item?: string | number } & About[Name] }[JobName];
export type JobTag = `${JobName}/${string}`;

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

/** @param tag one that `jobTag` has built */
export function readJobTag(tag: string): JobAbout {
  const [job, first = '', ...rest] = tag.split('/');
  const [second = ''] = rest;
  switch (job) {
    case 'deal':
    case 'seal':
    case 'check':
      return { job, plan: first, ...itemIn(rest) };
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
