/**
 * §5, at the member that recovers. It asks for grants, and begins a run with all helpers that granted. It
 * chooses `k` helpers that hold each other's masks, and has each accept that choice. It interpolates f(r)
 * from their sums. Helpers that are silent or false are left out of the next run while `k` others grant.
 */

import { sealingKeyFromSeed } from '../../crypto/key-agreement.ts';
import { tellOfSelf } from '../change/catch-up.ts';
import { sendRecovery, signRecoveryMessage, updateRecovery } from '../change/recovery-sending.ts';
import { decodePublic } from '../change/validity.ts';
import { isGivenUp } from '../machine/failing-jobs.ts';
import type { Job, JobResult } from '../machine/io.ts';
import { type JobAbout, type JobTag, jobTag } from '../machine/job-tags.ts';
import { beginPause, endPauses } from '../machine/pauses.ts';
import {
  headKeys,
  headLink,
  headOf,
  holdsShare,
  type ReadableState,
  selfIn,
  signingSecret,
  valueFaults,
} from '../machine/queries.ts';
import type { Asking, Run } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { digestOfDealing } from '../records/change-messages.ts';
import { encode, hex, sameBytes } from '../records/codec.ts';
import type { Packet } from '../records/packet.ts';
import { present } from '../records/present.ts';
import { type Chosen, hashOfRun, type Of } from '../records/recovery-messages.ts';
import { chooseHelpers } from './choosing.ts';
import { checkEnvelopes, checkMaskPublic } from './helping.ts';
import { choiceName } from './summing.ts';

/**
 * A stage of a run waits so long for silent helpers, in milliseconds. That is time for some repeated
 * messages. It is also short enough that a run, and a second run without those helpers, fit into the hold of
 * the helpers.
 */
export const stageMs = ({ timing }: Pick<ReadableState, 'timing'>): number =>
  Math.max(2 * timing.resendMs, Math.min(8 * timing.resendMs, timing.recoveryHoldMs / 2));

const setAsking = (work: Work, asking: Asking, by: Partial<Asking>): void =>
  updateRecovery(work, { asking: { ...asking, ...by } });
const setRun = (work: Work, asking: Asking, run: Run, by: Partial<Run>): void =>
  setAsking(work, asking, { run: { ...run, ...by } });

/**
 * Whether this member must get its share from others: it lacks the share, and waits for nothing that would
 * give it.
 */
function mustRecover(work: Work): boolean {
  const head = headOf(work);
  if (selfIn(work) === undefined || head.keys.length === 0 || holdsShare(work)) return false;
  const { retired, forced } = work.durable.own;
  // The member erases first (§4.5).
  if (work.durable.retires[head.epoch] !== undefined && retired < head.epoch && forced === null) return false;
  const mayApply = work.durable.shares[head.epoch - 1] !== undefined && work.durable.own.retired < head.epoch;
  const waitedMs = work.nowMs - (work.volatile.lastChangeAtMs ?? 0);
  return !mayApply || waitedMs > 3 * work.timing.resendMs;
}

const freshAsking = (work: Work, failed: Asking['failed']): Asking => ({
  epoch: headOf(work).epoch,
  nonce: work.draw(32),
  grants: {},
  waits: {},
  enoughAtMs: null,
  sendAtMs: work.nowMs,
  failed,
  run: null,
});

/** Rule `recover`: moves the recovery on by one stage, or sends the stage's messages again. */
export function recover(
  work: Work<'recover-ask' | 'recover-run' | 'recover-choice' | 'recover-again'>,
): boolean {
  const { asking } = work.volatile.recovery;
  if (!mustRecover(work) || signingSecret(work) === null) {
    if (asking !== null) updateRecovery(work, { asking: null });
    return false;
  }
  if (asking === null || asking.epoch !== headOf(work).epoch) {
    updateRecovery(work, { asking: freshAsking(work, {}) });
    work.rule('recover-ask', { epoch: headOf(work).epoch });
    return true;
  }
  if (asking.run !== null) return moveRun(work, asking, asking.run);
  const { threshold } = headOf(work);
  const usable = Object.values(asking.grants).filter(({ message }) => !asking.failed[message.by]);
  const chosen = usable.length >= threshold ? usable : Object.values(asking.grants);
  if (chosen.length >= threshold) {
    if (asking.enoughAtMs === null) {
      setAsking(work, asking, { enoughAtMs: work.nowMs + work.timing.haveDelayMs });
      return true;
    }
    if (work.nowMs >= asking.enoughAtMs) return startRun(work, asking, chosen);
  }
  if (work.nowMs < asking.sendAtMs) return false;
  const packet = signRecoveryMessage(work, (by) => ({
    v: 1,
    type: 'recover-ask',
    by,
    epoch: asking.epoch,
    nonce: asking.nonce,
  }));
  if (packet !== null)
    for (const { index } of headOf(work).roster)
      if (asking.grants[index] === undefined) sendRecovery(work, index, packet);
  setAsking(work, asking, { sendAtMs: work.nowMs + work.timing.resendMs });
  return true;
}

/** Takes a helper's grant for this member's question. */
export function receiveGrant(work: Work, message: Of<'recover-grant'>, packet: Packet): void {
  const { asking } = work.volatile.recovery;
  const self = selfIn(work);
  if (
    asking === null ||
    asking.run !== null ||
    message.to !== self?.index ||
    !sameBytes(message.nonce, asking.nonce)
  )
    return;
  // Helpers refuse a run in which two helpers have the same key (`checkGrants`). Only the member that
  // recovers sees an honest helper's key before the run.
  const twin = Object.values(asking.grants).some(
    ({ message: { by, sealingKey } }) => by !== message.by && sameBytes(sealingKey, message.sealingKey),
  );
  if (twin) return;
  const { [message.by]: _, ...waits } = asking.waits;
  setAsking(work, asking, { waits, grants: { ...asking.grants, [message.by]: { message, packet } } });
}

/** Takes a helper's answer *wait*. */
export function receiveWait(work: Work<'recover-told-to-wait'>, message: Of<'recover-wait'>): void {
  const { asking } = work.volatile.recovery;
  const self = selfIn(work);
  if (asking === null || message.to !== self?.index || !sameBytes(message.nonce, asking.nonce)) return;
  beginPause(work, 'waited', self.index, asking.epoch + 1);
  if (asking.waits[message.by] === undefined)
    work.rule('recover-told-to-wait', { epoch: asking.epoch, by: message.by, until: message.until });
  setAsking(work, asking, { waits: { ...asking.waits, [message.by]: message.until } });
}

function startRun(work: Work<'recover-run'>, asking: Asking, granted: Asking['grants'][string][]): boolean {
  const self = selfIn(work);
  if (self === undefined) return false;
  const sealing = sealingKeyFromSeed(work.draw(32));
  const helpers = granted
    .map(({ message }) => ({ index: message.by, sealingKey: message.sealingKey }))
    .sort((a, b) => a.index - b.index);
  const named: Omit<Of<'recover-run'>, 'run'> = {
    v: 1,
    type: 'recover-run',
    by: self.index,
    epoch: asking.epoch,
    nonce: asking.nonce,
    sealingKey: sealing.publicKey,
    helpers,
  };
  const run = hashOfRun(encode(named));
  const packet = signRecoveryMessage(work, () => ({ ...named, run }));
  if (packet === null) return false;
  setAsking(work, asking, {
    sendAtMs: work.nowMs,
    run: {
      run,
      packet,
      sealingSecret: sealing.secretKey,
      helpers: helpers.map(({ index }) => index),
      publics: {},
      held: {},
      stageEndsAtMs: work.nowMs + stageMs(work),
      choice: null,
      accepts: {},
      sums: {},
    },
  });
  work.rule('recover-run', { epoch: asking.epoch, helpers: helpers.length });
  return true;
}

function moveRun(work: Work<'recover-choice' | 'recover-again'>, asking: Asking, run: Run): boolean {
  if (run.choice === null) {
    const everybody = run.helpers.every(
      (index) => Object.keys(run.held[index] ?? {}).length === run.helpers.length,
    );
    const late = work.nowMs >= run.stageEndsAtMs;
    const halfway = work.nowMs >= run.stageEndsAtMs - stageMs(work) / 2;
    const { threshold } = headOf(work);
    const faults = valueFaults(work, headOf(work));
    const chosen =
      everybody || halfway ? chooseHelpers(run, { threshold, faults, failed: asking.failed }) : null;
    if (chosen !== null) return choose(work, asking, run, chosen);
    if (late)
      return giveUp(
        work,
        asking,
        run.helpers.filter((index) => run.held[index] === undefined),
      );
  } else {
    const silent = silentOf(run, run.choice.chosen);
    if (silent.length === 0) return combine(work, asking, run, run.choice.chosen);
    if (work.nowMs >= run.stageEndsAtMs) return giveUp(work, asking, silent);
  }
  if (work.nowMs < asking.sendAtMs) return false;
  if (run.choice === null) {
    const grants = run.helpers.map((index) => present(asking.grants[index], 'a grant of each helper').packet);
    for (const index of run.helpers) sendRecovery(work, index, run.packet, grants);
  } else
    for (const index of silentOf(run, run.choice.chosen))
      sendRecovery(
        work,
        index,
        run.choice.packet,
        isAccepted(run, run.choice.chosen) ? Object.values(run.accepts) : [],
      );
  setAsking(work, asking, { sendAtMs: work.nowMs + work.timing.resendMs });
  return true;
}

/** Whether every chosen helper has accepted the choice. Helpers send their sums only then. */
const isAccepted = (run: Run, chosen: Chosen): boolean =>
  chosen.every(({ index }) => run.accepts[index] !== undefined);

/** The chosen helpers that have not answered this stage: with an accept first, and with a sum after that. */
function silentOf(run: Run, chosen: Chosen): number[] {
  const said = isAccepted(run, chosen) ? run.sums : run.accepts;
  return chosen.map(({ index }) => index).filter((index) => said[index] === undefined);
}

/** A run has failed, so a new asking begins. The failed helpers are left out while `k` others grant. */
function giveUp(work: Work<'recover-again'>, asking: Asking, failed: readonly number[]): boolean {
  work.rule('recover-again', { epoch: asking.epoch, without: failed.length });
  const all = {
    ...asking.failed,
    ...Object.fromEntries(failed.map((index) => [String(index), true as const])),
  };
  updateRecovery(work, { asking: { ...freshAsking(work, all), sendAtMs: work.nowMs } });
  return true;
}

/**
 * Takes the public half of a mask from its dealer. Two different ones contradict each other, and the dealer
 * is blamed.
 * @throws ProtocolError `bad-recovery`
 */
export function receiveMaskPublic(work: Work, message: Of<'recover-mask'>): void {
  const { asking } = work.volatile.recovery;
  const run = asking?.run;
  if (asking == null || run == null || !sameBytes(run.run, message.run) || !run.helpers.includes(message.by))
    return;
  checkMaskPublic(work, message, run.run);
  const digest = hex(digestOfDealing(message.public));
  const other = Object.entries(run.publics).find(
    ([known, { dealer }]) => dealer === message.by && known !== digest,
  );
  if (other !== undefined) {
    work.blame({ epoch: asking.epoch, by: message.by, kind: 'contradiction' });
    return;
  }
  setRun(work, asking, run, {
    publics: { ...run.publics, [digest]: { dealer: message.by, bytes: message.public } },
  });
}

/** Takes a helper's list of the masks that it holds. */
export function receiveHeld(work: Work, message: Of<'recover-held'>): void {
  const { asking } = work.volatile.recovery;
  const run = asking?.run;
  if (asking == null || run == null || !sameBytes(run.run, message.run) || !run.helpers.includes(message.by))
    return;
  const held = Object.fromEntries(message.masks.map(({ index, digest }) => [String(index), hex(digest)]));
  setRun(work, asking, run, { held: { ...run.held, [message.by]: held } });
}

function choose(work: Work<'recover-choice'>, asking: Asking, run: Run, chosen: Chosen): boolean {
  const packet = signRecoveryMessage(work, (by) => ({
    v: 1,
    type: 'recover-choice',
    by,
    epoch: asking.epoch,
    run: run.run,
    helpers: chosen,
  }));
  if (packet === null) return false;
  const next = {
    ...run,
    choice: { chosen, packet },
    stageEndsAtMs: work.nowMs + stageMs(work),
  };
  setAsking(work, asking, { run: next, sendAtMs: work.nowMs });
  work.rule('recover-choice', { epoch: asking.epoch, helpers: chosen.length });
  return true;
}

/** Takes a chosen helper's accept of the choice. */
export function receiveAccept(work: Work, message: Of<'recover-accept'>, packet: Packet): void {
  const current = chosenIn(work, message);
  if (current === null || current.run.accepts[message.by] !== undefined) return;
  const { asking, run, chosen } = current;
  const next = { ...run, accepts: { ...run.accepts, [message.by]: packet } };
  if (isAccepted(next, chosen))
    setAsking(work, asking, {
      run: { ...next, stageEndsAtMs: work.nowMs + stageMs(work) },
      sendAtMs: work.nowMs,
    });
  else setAsking(work, asking, { run: next });
}

/** Takes a chosen helper's sealed sum. A job checks it. @throws ProtocolError `bad-recovery` */
export function receiveSum(work: Work, message: Of<'recover-sum'>): void {
  const current = chosenIn(work, message);
  if (current === null || current.run.sums[message.by] !== undefined) return;
  checkEnvelopes(work, message);
  const { asking, run } = current;
  setRun(work, asking, run, { sums: { ...run.sums, [message.by]: message.envelopes } });
}

/** The run and the choice that a helper's message is about. Null when they are not the current ones. */
function chosenIn(
  work: Work,
  message: Of<'recover-accept'> | Of<'recover-sum'>,
): { asking: Asking; run: Run; chosen: Chosen } | null {
  const { asking } = work.volatile.recovery;
  const run = asking?.run;
  if (asking == null || run?.choice == null || !sameBytes(run.run, message.run)) return null;
  const { chosen } = run.choice;
  const isChosen = chosen.some(({ index }) => index === message.by);
  return isChosen && sameBytes(message.choice, choiceName({ helpers: chosen }))
    ? { asking, run, chosen }
    : null;
}

/**
 * All sums of the chosen helpers are here. A job checks each against v_i and the masks, and interpolates
 * f(r). Then it checks f(r) (step 3).
 */
function combine(work: Work<'recover-again'>, asking: Asking, run: Run, chosen: Chosen): boolean {
  const self = selfIn(work);
  if (self === undefined) return false;
  const halfOf = new Map(
    chosen.map(({ index, digest }) => [
      index,
      decodePublic(present(run.publics[hex(digest)], 'the mask of each chosen helper').bytes),
    ]),
  );
  const jobOver = (some: Chosen): Job => ({
    kind: 'recover',
    index: self.index,
    keys: headKeys(work).map(({ setting, commitments }, at) => ({
      setting,
      commitments,
      sums: some.map(({ index }) => ({
        by: index,
        mask: halfOf.get(index)?.parts[at]?.commitments ?? [],
        envelope: present(run.sums[index]?.[at], 'a sum of each key from each chosen helper'),
      })),
    })),
    sealingSecret: run.sealingSecret,
    tie: {
      cluster: work.clusterId,
      epoch: asking.epoch,
      plan: run.run,
      digest: choiceName({ helpers: chosen }),
      receiver: self.index,
    },
  });
  const about = { job: 'recover' as const, epoch: asking.epoch, run: hex(run.run) };
  const tag = jobTag(about);
  const tagOf = (index: number): JobTag => jobTag({ ...about, item: index });
  if (work.volatile.failing[tag] === undefined) return work.compute(tag, jobOver(chosen));
  // The worker died. Each helper's contribution is tried alone. A run that cannot be computed makes room for
  // another run.
  const spoilt = chosen.filter(({ index }) => isGivenUp(work, tagOf(index)));
  const untried = chosen.filter(
    (one) => !spoilt.includes(one) && work.volatile.jobs[tagOf(one.index)] !== 'vain',
  );
  if (untried.length > 0)
    return untried.map((one) => work.compute(tagOf(one.index), jobOver([one]))).includes(true);
  if (spoilt.length > 0 || isGivenUp(work, tag))
    return giveUp(
      work,
      asking,
      spoilt.map(({ index }) => index),
    );
  return work.compute(tag, jobOver(chosen));
}

/**
 * Whether a job tries one helper's contribution alone. Such a job only shows whether a worker survives it,
 * and its result is not used.
 */
export const isProbe = ({ job, item }: JobAbout): boolean => job === 'recover' && item !== undefined;

/**
 * The share is back and durable, and its Ready follows. Or the job names false sums or masks, and another run
 * begins.
 */
export function recovered(
  work: Work<'recovered' | 'recover-again'>,
  about: Extract<JobAbout, { job: 'recover' }>,
  result: Extract<JobResult, { kind: 'recover' }>,
): void {
  const { asking } = work.volatile.recovery;
  if (
    isProbe(about) ||
    asking?.run == null ||
    asking.epoch !== about.epoch ||
    hex(asking.run.run) !== about.run ||
    asking.epoch !== headOf(work).epoch
  )
    return;
  const { shares, culprits, falseMasks } = result;
  for (const by of falseMasks) work.blame({ epoch: asking.epoch, by, kind: 'false-mask' });
  for (const by of culprits) work.blame({ epoch: asking.epoch, by, kind: 'false-sum' });
  if (shares === null) {
    giveUp(work, asking, [...falseMasks, ...culprits]);
    return;
  }
  const { value } = headLink(work);
  work.putShares(value, shares);
  updateRecovery(work, { asking: null });
  endPauses(work, ({ index }) => index === selfIn(work)?.index);
  tellOfSelf(work); // An older Ready may be from before this member's store lost the share.
  work.rule('recovered', { epoch: value.epoch });
}
