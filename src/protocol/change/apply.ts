/** §4.4 Apply and §4.5 Retire: the new share, the Ready that proves it signs, and the erasure of everything older. */

import { isGivenUp } from '../machine/failing-jobs.ts';
import type { Job, JobResult } from '../machine/io.ts';
import { type JobTag, jobTag } from '../machine/job-tags.ts';
import { endPauses } from '../machine/pauses.ts';
import {
  headHash,
  headKeys,
  headLink,
  headOf,
  holdsShare,
  selfIn,
  signingSecret,
  valueQuorum,
} from '../machine/queries.ts';
import { blameKey } from '../machine/record-keys.ts';
import type { Work } from '../machine/work.ts';
import { type Carried, hashOfTrials, type Ready, type Trials } from '../records/change-messages.ts';
import { hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { present } from '../records/present.ts';
import { memberAt } from '../records/roster.ts';
import { operatorDealer } from '../records/value.ts';
import { keepMessage, signAndPublish } from './message-slots.ts';
import { updateRecovery } from './recovery-sending.ts';
import { decodePublic } from './validity.ts';

/** Rule `apply`: who holds every accepted sub-share computes its new share. */
export function apply(work: Work<'apply'>): boolean {
  const { value } = headLink(work);
  const self = selfIn(work);
  if (value.epoch === 0 || self === undefined || work.durable.shares[value.epoch] !== undefined) return false;
  const before = work.durable.shares[value.epoch - 1] ?? (holdsShare(work, value.epoch - 1) ? {} : undefined);
  const parent = work.durable.links[value.epoch - 1]?.value;
  const parentSelf = parent?.roster.find((member) => member.peer === work.peer);
  if (before === undefined || parent === undefined || parentSelf?.index !== self.index) return false;
  const held = value.accepted.map(({ digest }) => work.durable.subShares[hex(digest)]);
  if (held.some((subShare) => subShare === undefined)) return false;
  // What members' dealings covered, in their order: keys that stay, and keys that they created together.
  const dealt = value.keys.filter(
    ({ id, creation }) => creation !== null || parent.keys.some((listed) => sameBytes(listed.id, id)),
  );
  const keys = headKeys(work).map(({ id, setting, commitments }) => {
    const { key } = setting;
    const old = parent.keys.some((listed) => sameBytes(listed.id, key.id));
    const joint = !old && key.creation !== null;
    const part = dealt.findIndex((listed) => sameBytes(listed.id, key.id));
    const created = value.accepted.findIndex(
      ({ digest, dealer }) => dealer === operatorDealer && createsKey(work, digest, key.id),
    );
    return {
      setting,
      commitments,
      before: old ? (before[id] ?? null) : null,
      created: old || joint ? null : (held[created]?.numbers[0] ?? null),
      joint,
      numbers:
        old || joint
          ? held.flatMap((subShare) =>
              subShare !== undefined && subShare.dealer !== operatorDealer
                ? [present(subShare.numbers[part], 'a number of each key')]
                : [],
            )
          : [],
    };
  });
  if (keys.some(({ before: old, created, joint }) => old === null && created === null && !joint))
    return false;
  if (!work.compute(jobTag({ job: 'apply', epoch: value.epoch }), { kind: 'apply', index: self.index, keys }))
    return false;
  work.rule('apply', { epoch: value.epoch });
  return true;
}

function createsKey(work: Work, digest: Uint8Array, key: Uint8Array): boolean {
  const half = work.durable.publics[hex(digest)];
  return half !== undefined && sameBytes(decodePublic(half.bytes).parts[0]?.key ?? new Uint8Array(), key);
}

/** The new share is computed and agreed with its verification key: durable before anything says so. */
export function applied(
  work: Work<'apply-failed'>,
  epoch: number,
  result: Extract<JobResult, { kind: 'apply' }>,
): void {
  const { value } = headLink(work);
  if (value.epoch !== epoch || work.durable.shares[epoch] !== undefined) return;
  if (result.shares === null) {
    work.rule('apply-failed', { epoch });
    return;
  }
  work.putShares(value, result.shares);
}

/** Rule `ready`: this member's trial partials under its new share. */
export function ready(work: Work): boolean {
  const { value } = headLink(work);
  const signer = signingSecret(work);
  if (
    value.epoch === 0 ||
    signer === null ||
    !holdsShare(work) ||
    work.durable.readys[signer.index] !== undefined
  )
    return false;
  const shares = work.durable.shares[value.epoch] ?? {};
  const keys = headKeys(work).map(({ id, setting }) => ({
    setting,
    share: present(shares[id], 'a share of each key'),
  }));
  const { epoch } = value;
  const { index } = signer;
  const job: Job = { kind: 'trial', cluster: work.clusterId, index, epoch, value: headHash(work), keys };
  return work.compute(jobTag({ job: 'trial', epoch }), job);
}

export function tried(work: Work<'ready'>, epoch: number, trials: Trials): void {
  if (headOf(work).epoch !== epoch) return;
  const value = headHash(work);
  signAndPublish(work, (by) => ({ v: 1, type: 'ready', by, epoch, value, trials: hashOfTrials(trials) }), {
    trials,
  });
  work.rule('ready', { epoch });
}

/** A Ready is newer than what its member last said of itself in a summary. */
function saysByReady(work: Work, { by, epoch }: Ready): void {
  const peer = memberAt(headOf(work).roster, by)?.peer;
  if (peer === undefined || work.volatile.saidOfSelf[peer] === undefined) return;
  work.volatile.saidOfSelf = {
    ...work.volatile.saidOfSelf,
    [peer]: { epoch, holds: epoch, signs: 'yes' },
  };
}

/** Keeps a verified Ready of the newest epoch. */
export function receiveReady(work: Work, message: Ready, carried: Carried): void {
  const { value } = headLink(work);
  if (!sameBytes(message.value, headHash(work)))
    throw new ProtocolError('bad-ready', `member ${message.by} is ready for another value`, {
      culprit: message.by,
    });
  if (
    carried.trials === undefined ||
    !sameBytes(hashOfTrials(carried.trials), message.trials) ||
    carried.trials.length !== value.keys.length
  )
    throw new ProtocolError('bad-ready', 'a Ready came without its trials');
  const liar = work.durable.blames[blameKey({ epoch: value.epoch, by: message.by, kind: 'false-trial' })];
  if (liar !== undefined) return;
  keepMessage(work, message, carried);
  saysByReady(work, message);
  // It has its share: nothing to hold for, and nothing to wait for.
  if (work.volatile.recovery.hold?.recoverer === message.by) updateRecovery(work, { hold: null });
  endPauses(work, ({ index }) => index === message.by);
}

/** Rule `combine-trial`: the new shares must have signed before anything old goes (§4.5). */
export function combineTrial(work: Work): boolean {
  const { value } = headLink(work);
  if (value.epoch === 0 || work.durable.retires[value.epoch] !== undefined) return false;
  const { epoch } = value;
  const aloneTag = (by: number): JobTag => jobTag({ job: 'combine-trial', epoch, members: [by], item: by });
  const readys = Object.values(work.durable.readys).filter(
    ({ message }) => !isGivenUp(work, aloneTag(message.by)),
  );
  if (readys.length < valueQuorum(work, value)) return false;
  const job = (some: typeof readys): Job => ({
    kind: 'combine-trial',
    cluster: work.clusterId,
    members: some.map(({ message }) => message.by),
    epoch: value.epoch,
    value: headHash(work),
    keys: headKeys(work).map(({ setting, commitments }, at) => ({
      setting,
      commitments,
      trials: some.map(({ message, carried }) => ({
        by: message.by,
        trial: present(carried.trials?.[at], 'the trial of each key in a Ready'),
      })),
    })),
  });
  const tag = jobTag({ job: 'combine-trial', epoch, members: readys.map(({ message }) => message.by) });
  if (work.volatile.failing[tag] === undefined) return work.compute(tag, job(readys));
  // The worker died: each trial is looked at alone, and then all are combined again without those on which it dies.
  const untried = readys.filter(({ message }) => work.volatile.jobs[aloneTag(message.by)] !== 'vain');
  if (untried.length === 0) return work.compute(tag, job(readys));
  return untried.map((one) => work.compute(aloneTag(one.message.by), job([one]))).includes(true);
}

export function combined(
  work: Work<'false-trial' | 'suspect-trial'>,
  epoch: number,
  result: Extract<JobResult, { kind: 'combine-trial' }>,
): void {
  if (headOf(work).epoch !== epoch || work.durable.retires[epoch] !== undefined) return;
  for (const by of result.culprits) {
    work.blame({ epoch, by, kind: 'false-trial' });
    work.retain('readys', (index) => Number(index) !== by);
    work.rule('false-trial', { epoch, by });
  }
  // Its proof holds: it may be true, and two that lie together may have made it look false. It stays what it
  // is, and is logged.
  for (const by of result.suspects) work.rule('suspect-trial', { epoch, by });
  const readys = result.members.flatMap((by) => work.durable.readys[by]?.carried.packet ?? []);
  if (
    result.proofs === null ||
    readys.length < Math.max(result.members.length, valueQuorum(work, headOf(work)))
  )
    return;
  work.put('retires', epoch, { epoch, readys, proofs: result.proofs });
}

/**
 * Rule `retire`: with a retire proof in hand, and after a short grace unless all are ready, everything older
 * is erased.
 */
export function retire(work: Work<'retire'>): boolean {
  const { value } = headLink(work);
  if (work.durable.own.retired >= value.epoch || work.durable.retires[value.epoch] === undefined)
    return false;
  // A forced change did not wait for Retire, and its secrets lie with the older ones: the Retire after it erases all.
  if (work.durable.own.forced !== null) return false;
  const everybody = Object.keys(work.durable.readys).length >= value.roster.length;
  if (!everybody) {
    if (work.volatile.retireAtMs === null) work.volatile.retireAtMs = work.nowMs + work.timing.graceMs;
    if (work.nowMs < work.volatile.retireAtMs) return false;
  }
  const self = selfIn(work);
  work.retain('shares', (epoch) => Number(epoch) >= value.epoch);
  work.retain('epochSecrets', (key) => self !== undefined && key === hex(self.epochKey));
  for (const section of ['attended', 'dealt', 'outbox', 'subShares', 'publics'] as const) work.clear(section);
  work.volatile.inbox = {};
  work.volatile.refusedDealings = {};
  work.own({ retired: value.epoch, drawn: null });
  work.rotate = true;
  work.rule('retire', { epoch: value.epoch });
  return true;
}
