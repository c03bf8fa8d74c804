/** The tag of a job says what it was for when its result comes back. */
import { expect, test } from 'vitest';
import { type JobAbout, jobTag, readJobTag } from '../../src/protocol/machine/job-tags.ts';

const plan = 'ab'.repeat(32);
const run = 'cd'.repeat(32);
const every: JobAbout[] = [
  { job: 'deal', plan },
  { job: 'seal', plan },
  { job: 'seal', plan, item: '4' },
  { job: 'check', plan },
  { job: 'check', plan, item: run },
  { job: 'judge-parts', plan, digest: run },
  { job: 'sum-keys', plan, set: run },
  { job: 'judge-retire', epoch: 7, from: '12D3KooW' },
  { job: 'apply', epoch: 7 },
  { job: 'trial', epoch: 7 },
  { job: 'combine-trial', epoch: 7, members: [1, 2, 12] },
  { job: 'combine-trial', epoch: 7, members: [12], item: '12' },
  { job: 'mask', recoverer: 3, run },
  { job: 'mask-seal', recoverer: 3, run },
  { job: 'mask-seal', recoverer: 3, run, item: '1' },
  { job: 'mask-check', recoverer: 3, run },
  { job: 'mask-check', recoverer: 3, run, item: '1' },
  { job: 'sum', recoverer: 3, run },
  { job: 'recover', epoch: 7, run },
  { job: 'recover', epoch: 7, run, item: '1' },
];

test('what a tag was built from is read from it', () => {
  for (const about of every) expect(readJobTag(jobTag(about))).toEqual(about);
});

test('no two jobs have one tag', () => {
  expect(new Set(every.map(jobTag)).size).toBe(every.length);
});

test('another text is no tag', () => {
  expect(() => readJobTag(`guess/${plan}`)).toThrow('is the tag of a job');
});
