/** Verification keys of old epochs: in a worker, one epoch at a time, each once, and not for everybody at once. */

import { expect, onTestFinished, test } from 'vitest';
import { elementBytes } from '../../../src/keys/rsa/numbers.ts';
import { verificationKeysIn } from '../../../src/node/jobs/verification-keys.ts';
import { startWorkers } from '../../../src/node/jobs/workers.ts';
import { VerificationKeys } from '../../../src/node/views/verification-keys.ts';
import type { EpochView } from '../../../src/node/views/view.ts';
import type { Link } from '../../../src/protocol/records/link.ts';
import { settled } from '../../../src/simulation/world/virtual-time.ts';
import { sharing, value } from '../use/five-members.ts';

const commitments = value.keys.map(() => sharing.commitments.map(elementBytes));
const linkOf = (epoch: number): Link => ({ value: { ...value, epoch }, commitments }) as unknown as Link;

/** Computations under way, each with what ends it. */
class Computations {
  readonly began: number[] = [];
  readonly ends: Array<(error?: Error) => void> = [];
  readonly keys = new VerificationKeys(
    ({ value: { epoch } }) =>
      new Promise((resolve, reject) => {
        this.began.push(epoch);
        this.ends.push((error) => (error === undefined ? resolve([]) : reject(error)));
      }),
  );
}

test('one epoch at a time, and each once', async () => {
  const { began, ends, keys } = new Computations();
  const asked = [1, 2, 1, 2].map((epoch) => keys.of(linkOf(epoch)));
  await settled();
  expect(began).toEqual([1]);
  ends[0]?.();
  await settled();
  expect(began).toEqual([1, 2]);
  ends[1]?.();
  await Promise.all(asked);
  await keys.of(linkOf(1));
  expect(began).toEqual([1, 2]);
});

test('a computation that failed is tried again, and holds up no other', async () => {
  const { began, ends, keys } = new Computations();
  const failed = expect(keys.of(linkOf(1))).rejects.toThrow('no worker');
  await settled();
  ends[0]?.(new Error('no worker'));
  await failed;
  const again = keys.of(linkOf(1));
  await settled();
  ends[1]?.();
  await again;
  expect(began).toEqual([1, 1]);
});

test('with many that wait, others are told to ask again, and those that wait are answered', async () => {
  const { ends, keys } = new Computations();
  const outcomes = Promise.allSettled(Array.from({ length: 20 }, (_, epoch) => keys.of(linkOf(epoch))));
  for (let at = 0; at < 16; at += 1) {
    await settled();
    ends[at]?.();
  }
  const statuses = (await outcomes).map((outcome) =>
    outcome.status === 'rejected' ? outcome.reason.code : 'answered',
  );
  expect(statuses).toEqual([...new Array(16).fill('answered'), ...new Array(4).fill('busy')]);
  await settled();
  const later = keys.of(linkOf(30));
  await settled();
  ends[16]?.();
  expect(await later).toEqual([]);
});

test('a worker computes the same keys', async () => {
  const workers = startWorkers({ threads: 1, cipher: 'aes' });
  onTestFinished(() => workers.stop());
  const keys: EpochView['verificationKeys'] = await workers.verificationKeys(linkOf(1), 20);
  expect(keys).toHaveLength(10);
  expect(keys).toEqual(verificationKeysIn(linkOf(1), 20));
});
