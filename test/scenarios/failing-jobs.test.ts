/**
 * §9, jobs that fail: a stage that timed out, tried again for as long as it is wanted, and no word about
 * anybody.
 */

import { afterEach, expect, test } from 'vitest';
import { elementBytes } from '../../src/keys/rsa/numbers.ts';
import { publicOf } from '../../src/keys/rsa/setting.ts';
import { runJob } from '../../src/node/jobs/change-jobs.ts';
import { failingJobProblems } from '../../src/node/views/failing-jobs.ts';
import type { Job } from '../../src/protocol/machine/io.ts';
import { headOf, headSettings, signingSecret } from '../../src/protocol/machine/queries.ts';
import {
  dealingPublicSchema,
  digestOfDealing,
  type Frame,
  frameEnvelope,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode } from '../../src/protocol/records/codec.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import { zip } from '../../src/protocol/records/present.ts';
import {
  type Of,
  type RecoveryMessage,
  recoveryMessageSchema,
} from '../../src/protocol/records/recovery-messages.ts';
import type { KeyRecord } from '../../src/protocol/records/value.ts';
import { choiceName } from '../../src/protocol/recovery/summing.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { dealersOf, fired, linkOf, messageIn } from './support.ts';

let group: Group;
afterEach(() => group.stopAll());

/** Jobs of these kinds fail at one member while `broken` says so. */
function failing(node: string, kinds: readonly Job['kind'][], broken: (job: Job) => boolean): void {
  group.options.beforeJob = (name, job) =>
    name === node && kinds.includes(job.kind) && broken(job)
      ? Promise.reject(new Error('Terminating worker thread'))
      : undefined;
}

const blames = (): string[] =>
  group.running.flatMap(({ driver }) => Object.keys(driver?.state.durable.blames ?? {}));
const epochsOf = (): number[] => group.running.map((_, at) => group.epochOf(at + 1));

for (const kind of ['deal', 'seal', 'check', 'apply', 'trial', 'combine-trial'] as const)
  test(`a worker that dies twice in the middle of ${kind} delays a change, and no member loses its part in it`, async () => {
    group = await groupWithKey({ peers: 4, threshold: 2 });
    let deaths = 0;
    // The driver starts a job once more by itself: together this is one failure.
    failing('p2', [kind], () => {
      deaths += 1;
      return deaths <= 2;
    });
    // What the others found of the trials arrives nowhere: each member must find it itself.
    group.intercept = (_, frame) => (frame.type === 'retire' ? [] : [frame]);
    const epoch = await group.refresh(1);
    await group.until(() => fired(group, 2, 'ready', { epoch }));
    expect(fired(group, 2, 'job-failed', { job: kind, failures: 1, cause: 'the worker died' })).toBe(true);
    // What is older is erased meanwhile: then its share comes from the others, in the same change.
    expect(fired(group, 2, 'recovered')).toBe(kind === 'apply');
    expect(dealersOf(linkOf(group.state(1), epoch))).toEqual([1, 2, 3, 4]);
    expect(blames()).toEqual([]);
  });

for (const [kind, at] of [
  ['deal', 'p1'],
  ['seal', 'p1'],
  ['check', 'p1'],
  ['sum', 'p1'],
  ['recover', 'p3'],
] as const)
  test(`a worker that dies again and again in the middle of ${kind} in a recovery delays it, and ends it for nobody`, async () => {
    // Both helpers are needed.
    group = await groupWithKey({ peers: 3, threshold: 2, faultModel: 'crash' });
    await group.stop(3);
    await group.refresh(1);
    let deaths = 0;
    failing(at, [kind], () => {
      deaths += 1;
      return deaths <= 6;
    });
    await group.restart(3);
    await group.until(() => fired(group, 3, 'recovered'), 60_000, 'the recovery');
    expect(deaths).toBeGreaterThan(6);
    expect(blames()).toEqual([]);
    await group.until(() => group.settledAt(group.epochOf(1)));
  });

test('a dealing on which the worker dies each time stops no other, and its dealer is named without blame', async () => {
  group = await groupWithKey({ peers: 4, threshold: 2 });
  failing('p2', ['check'], (job) => job.kind === 'check' && job.items.some(({ dealer }) => dealer === 4));
  // The decision waits until the dealing is given up.
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  group.node(1).driver?.refresh();
  const next = group.epochOf(1) + 1;
  await group.until(() =>
    Object.values(group.state(2).volatile.failing).some(({ failures }) => failures === 3),
  );
  expect(failingJobProblems(group.state(2)).map(({ code }) => code)).toEqual(['computations-fail']);
  expect(failingJobProblems(group.state(2))[0]?.what).toContain(
    '(check) has failed 3 times on this machine: the worker died',
  );
  await group.until(() => fired(group, 2, 'dealing-given-up', { dealer: 4 }));
  expect(Object.values(group.state(2).durable.subShares)).toHaveLength(3);
  group.intercept = null;
  await group.until(() => group.settledAt(next), 120_000, 'the refresh');
  expect(failingJobProblems(group.state(2))).toEqual([]);
  expect(new Set(epochsOf())).toEqual(new Set([next]));
  expect(fired(group, 2, 'recovered')).toBe(true); // the dealing counts, and p2 cannot read it
  expect(blames()).toEqual([]);
});

test('a trial on which the worker dies each time is left out of the retire proof, and nobody is blamed', async () => {
  group = await groupWithKey({ peers: 4, threshold: 2 });
  failing(
    'p2',
    ['combine-trial'],
    (job) => job.kind === 'combine-trial' && job.keys.some(({ trials }) => trials.some(({ by }) => by === 4)),
  );
  // What the others found arrives nowhere: p2 must find it itself.
  group.intercept = ({ to }, frame) => (to === 'p2' && frame.type === 'retire' ? [] : [frame]);
  await group.refresh(1);
  expect(blames()).toEqual([]);
});

// ── masks that are none
// ───────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What p1 and p2 say instead of the truth: masks whose commitments are no units, which each says to hold of
 * both.
 */
class MaskLiars {
  readonly #publics = new Map<number, Uint8Array>();
  grantsHeldBack = true;

  replace(by: number, message: RecoveryMessage): RecoveryMessage[] | null {
    if (message.type === 'recover-grant' && by > 2 && this.grantsHeldBack) return [];
    if (by > 2) return null;
    if (message.type === 'recover-mask' && message.receiver === 7) {
      const half = decode(dealingPublicSchema, message.public);
      const key = headOf(group.state(7)).keys[0] as KeyRecord;
      const modulus = elementBytes(publicOf(key.public).modulus);
      const parts = half.parts.map((part) => ({
        ...part,
        commitments: part.commitments.map(() => modulus),
      }));
      this.#publics.set(by, encode({ ...half, parts }));
      return [
        { ...message, public: this.#publics.get(by) as Uint8Array },
        ...(this.#publics.size === 2 ? this.#held(message) : []),
      ];
    }
    return message.type === 'recover-held' ? (this.#publics.size === 2 ? this.#held(message) : []) : null;
  }

  #held({ by, epoch, run }: Of<'recover-mask'> | Of<'recover-held'>): RecoveryMessage[] {
    const masks = [...this.#publics].map(([index, half]) => ({ index, digest: digestOfDealing(half) }));
    return [{ v: 1, type: 'recover-held', by, epoch, run, masks }];
  }
}

function signedBy(by: number, message: object): Frame {
  const { clusterId } = group.state(by);
  const { secret } = signingSecret(group.state(by)) as { secret: Uint8Array };
  return {
    type: 'recovery',
    packet: signPacket(clusterId, secret, encode({ v: 1, ...message })),
    beside: [],
  };
}

/** The liar's accept and its sum for what p7 has chosen. */
function answersTo(by: number, { run, epoch, helpers }: Of<'recover-choice'>): Frame[] {
  const choice = choiceName({ helpers });
  const state = group.state(by);
  const sealingKey = Object.values(state.volatile.recovery.helping)[0]?.sealingKey as Uint8Array;
  const shares = Object.values(state.durable.shares[epoch] as Record<string, Uint8Array>);
  const tie = { cluster: state.clusterId, epoch, plan: run, digest: choice, sender: by, receiver: 7 };
  const keys = zip(headSettings(state), shares).map(([setting, share]) => ({ setting, share, numbers: [] }));
  const job: Job = { kind: 'sum', keys, index: by, root: 7, sealingKey, tie };
  const sum = runJob(job, { cipher: 'aes', randomBytes: group.random });
  if (sum.kind !== 'sum') throw new Error('a sum is a sum');
  return [
    signedBy(by, { type: 'recover-accept', by, epoch, run, choice }),
    signedBy(by, { type: 'recover-sum', by, epoch, run, choice, envelopes: sum.envelopes }),
  ];
}

test('masks that are no units, of as many liars as are chosen, are named, and the next run does without them', async () => {
  group = await groupWithKey({ peers: 7, threshold: 2 });
  await group.stop(7);
  await group.refresh(1);
  const liars = new MaskLiars();
  group.intercept = ({ from, to }, frame) => {
    if (frame.type !== 'recovery') return [frame];
    const by = Number(from.slice(1));
    const message = decode(recoveryMessageSchema, frame.packet.body);
    if (message.type === 'recover-choice' && (to === 'p1' || to === 'p2')) {
      const answers = answersTo(Number(to.slice(1)), message);
      for (const answer of answers)
        void group.node(7).driver?.dispatch({
          ...{ type: 'frame', from: group.node(Number(to.slice(1))).peer, authenticated: true },
          frame: frameEnvelope.encode(answer),
        });
      liars.grantsHeldBack = false;
      return [];
    }
    const lies = liars.replace(by, message);
    return lies === null ? [frame] : lies.map((lie) => signedBy(by, lie));
  };
  await group.restart(7);
  await group.until(() => fired(group, 7, 'recovered'), 60_000, 'the recovery');
  const epoch = group.epochOf(7);
  expect(fired(group, 7, 'recover-again', { epoch, without: 2 })).toBe(true);
  expect(Object.keys(group.state(7).durable.blames).sort()).toEqual(
    [1, 2].map((by) => `${epoch}/${by}/false-mask`),
  );
});
