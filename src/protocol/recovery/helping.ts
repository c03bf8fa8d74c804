/**
 * §5 step 2, at the helpers. Each deals a fresh mask for the run, and lists the masks that it holds. The
 * member that recovers is not trusted: it learns its own f(r), and nothing about a helper's share.
 */

import { isSealingKey } from '../../crypto/key-agreement.ts';
import { sendRecovery, signRecoveryMessage, updateRecovery } from '../change/recovery-sending.ts';
import { areElementsOf, decodePublic } from '../change/validity.ts';
import { computeBatch, isGivenUp } from '../machine/failing-jobs.ts';
import type { CheckItem, Job, JobResult } from '../machine/io.ts';
import { jobTag, type OfRun } from '../machine/job-tags.ts';
import { headOf, headSettings, selfIn } from '../machine/queries.ts';
import type { Helping } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { type DealingPublic, digestOfDealing } from '../records/change-messages.ts';
import { encode, fromHex, hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import type { Packet } from '../records/packet.ts';
import { present, zip } from '../records/present.ts';
import { hashOfRun, type Of } from '../records/recovery-messages.ts';
import { canHelp, checkGrants } from './granting.ts';

/** Replaces this member's part in a run. */
export const change = (work: Work, helping: Helping, by: Partial<Helping>): Helping => {
  const next = { ...helping, ...by };
  updateRecovery(work, { helping: { ...work.volatile.recovery.helping, [helping.recoverer]: next } });
  return next;
};

/**
 * Step 2: takes a run. It names all helpers that granted, and carries their signed grants. This member then
 * deals a fresh mask with root r.
 * @throws ProtocolError `bad-recovery`
 */
export function receiveRun(
  work: Work<'recover-mask'>,
  message: Of<'recover-run'>,
  grants: readonly Packet[],
): void {
  if (!canHelp(work)) return;
  const head = headOf(work);
  const self = selfIn(work);
  const granted = work.volatile.recovery.granted[message.by];
  const current = work.volatile.recovery.helping[message.by];
  if (current !== undefined && sameBytes(current.run, message.run)) return repeat(work, current);
  const { run, ...named } = message;
  if (!sameBytes(hashOfRun(encode(named)), run))
    throw new ProtocolError('bad-recovery', 'a run has another name than its content', {
      culprit: message.by,
    });
  if (!isSealingKey(message.sealingKey))
    throw new ProtocolError('bad-recovery', 'nothing can be sealed to the sealing key of a run', {
      culprit: message.by,
    });
  // A grant serves one run, and a restart forgets it. So there is never a second mask or sum in one run.
  if (granted === undefined || self === undefined || !sameBytes(granted.nonce, message.nonce)) return;
  // Runs are limited in rate, never in number.
  if (current !== undefined && work.nowMs < current.startedAtMs + work.timing.resendMs) return;
  checkGrants(work, message, grants);
  const own = message.helpers.find(({ index }) => index === self.index);
  if (
    own === undefined ||
    !sameBytes(own.sealingKey, granted.sealingKey) ||
    message.helpers.length < head.threshold
  )
    throw new ProtocolError('bad-recovery', 'a run does not name its helpers truly', { culprit: message.by });

  const { [message.by]: _, ...rest } = work.volatile.recovery.granted;
  const helping: Helping = {
    run,
    epoch: message.epoch,
    recoverer: message.by,
    sealingKey: message.sealingKey,
    sealingSecret: granted.sealingSecret,
    helpers: message.helpers.filter(({ index }) => index !== self.index),
    own: null,
    outbox: {},
    inbox: {},
    masks: {},
    refused: {},
    choice: null,
    sum: null,
    startedAtMs: work.nowMs,
  };
  updateRecovery(work, { granted: rest });
  change(work, helping, {});
  dealMask(work, helping, self.index);
  work.rule('recover-mask', { epoch: message.epoch, for: message.by });
}

const dealMask = (work: Work, { recoverer, run }: Helping, dealer: number): boolean =>
  work.compute(jobTag({ job: 'mask', recoverer, run: hex(run) }), {
    kind: 'deal',
    cluster: work.clusterId,
    plan: run,
    keys: headSettings(work),
    dealer,
  });

/**
 * The mask's polynomial is there. Its public half goes to the member that recovers, and its sealed numbers go
 * to the other helpers.
 */
export function masked(work: Work, about: OfRun, result: Extract<JobResult, { kind: 'deal' }>): void {
  const helping = helpingOf(work, about);
  const self = selfIn(work);
  if (helping === null || self === undefined) return;
  const half: DealingPublic = {
    v: 1,
    epoch: helping.epoch,
    plan: helping.run,
    dealer: self.index,
    parts: zip(headOf(work).keys, result.parts).map(([{ id }, { commitments }]) => ({
      key: id,
      commitments,
    })),
  };
  const bytes = encode(half);
  const digest = digestOfDealing(bytes);
  const numbers = result.parts.map(({ own }) => own);
  const coefficients = result.parts.map((part) => part.coefficients);
  const next = change(work, helping, {
    own: { digest, public: bytes, coefficients, numbers },
    masks: { ...helping.masks, [self.index]: { digest: hex(digest), numbers } },
  });
  sealMask(work, next);
  sendPublic(work, next);
}

/** Seals the mask's numbers for the helpers that have none yet. */
function sealMask(work: Work, { own, epoch, run, recoverer, helpers, outbox }: Helping): boolean {
  const self = selfIn(work);
  if (own === null || self === undefined) return false;
  const { digest } = own;
  const keys = zip(headSettings(work), own.coefficients).map(([setting, coefficients]) => ({
    setting,
    coefficients,
  }));
  const tie = { cluster: work.clusterId, epoch, plan: run, digest, sender: self.index };
  return computeBatch(work, {
    about: { job: 'mask-seal', recoverer, run: hex(run) },
    items: helpers.filter(({ index }) => outbox[index] === undefined),
    nameOf: ({ index }) => index,
    job: (receivers) => ({ kind: 'seal', keys, tie, receivers }),
  });
}

function sendPublic(work: Work, helping: Helping): void {
  const { own, run, epoch, recoverer } = helping;
  if (own === null) return;
  const packet = signRecoveryMessage(work, (by) => ({
    v: 1,
    type: 'recover-mask',
    by,
    epoch,
    run,
    receiver: recoverer,
    public: own.public,
    envelopes: [],
  }));
  if (packet !== null) sendRecovery(work, recoverer, packet);
}

/** Signs and sends the sealed numbers of this member's mask, one packet for each helper. */
export function maskSealed(work: Work, about: OfRun, result: Extract<JobResult, { kind: 'seal' }>): void {
  const helping = helpingOf(work, about);
  if (helping?.own == null) return;
  const { own, run, epoch } = helping;
  const outbox: Record<string, Packet> = { ...helping.outbox };
  for (const { receiver, envelopes } of result.sealed) {
    const packet = signRecoveryMessage(work, (by) => ({
      v: 1,
      type: 'recover-mask',
      by,
      epoch,
      run,
      receiver,
      public: own.public,
      envelopes,
    }));
    if (packet === null) continue;
    outbox[receiver] = packet;
    sendRecovery(work, receiver, packet);
  }
  change(work, helping, { outbox });
}

/**
 * Takes another helper's mask for a run that this member helps. A job checks the numbers. False when the mask
 * is not for this member as a helper.
 * @throws ProtocolError `bad-recovery`
 */
export function receiveMask(work: Work, message: Of<'recover-mask'>): boolean {
  const helping = Object.values(work.volatile.recovery.helping).find(({ run }) =>
    sameBytes(run, message.run),
  );
  const self = selfIn(work);
  if (helping === undefined || self === undefined || message.receiver !== self.index) return false;
  if (!helping.helpers.some(({ index }) => index === message.by)) return true;
  if (
    helping.masks[message.by] !== undefined ||
    helping.inbox[message.by] !== undefined ||
    helping.refused[message.by]
  )
    return true;
  checkMaskPublic(work, message, helping.run);
  checkEnvelopes(work, message);
  change(work, helping, {
    inbox: {
      ...helping.inbox,
      [message.by]: { dealer: message.by, public: message.public, envelopes: message.envelopes },
    },
  });
  return true;
}

/**
 * Checks the form of a mask's public half: this run, every key, `t` commitments for each.
 * @throws ProtocolError `bad-recovery`
 */
export function checkMaskPublic(work: Work, message: Of<'recover-mask'>, run: Uint8Array): void {
  const half = decodePublic(message.public);
  const { keys, threshold } = headOf(work);
  const fits =
    half.epoch === message.epoch &&
    half.dealer === message.by &&
    sameBytes(half.plan, run) &&
    half.parts.length === keys.length &&
    half.parts.every(
      (part, at) =>
        sameBytes(part.key, present(keys[at], 'a key of each part').id) &&
        part.commitments.length === threshold - 1 &&
        areElementsOf(keys[at], part.commitments),
    );
  if (!fits)
    throw new ProtocolError('bad-recovery', `the mask of ${message.by} is not one for this run`, {
      culprit: message.by,
    });
}

/** Checks that there is one envelope for each key. @throws ProtocolError `bad-recovery` */
export function checkEnvelopes(work: Work, { by, envelopes }: { by: number; envelopes: Uint8Array[] }): void {
  if (envelopes.length !== headOf(work).keys.length)
    throw new ProtocolError('bad-recovery', `member ${by} sends envelopes for other keys`, { culprit: by });
}

/** Rule `recover-check`: checks all masks that came, together. */
export function checkMasks(work: Work<'mask-given-up'>): boolean {
  const self = selfIn(work);
  if (self === undefined) return false;
  for (const helping of Object.values(work.volatile.recovery.helping)) {
    const items = Object.values(helping.inbox).map(({ dealer, public: bytes, envelopes }) => {
      const half = decodePublic(bytes);
      const parts = zip(zip(headSettings(work), half.parts), envelopes).map(
        ([[setting, { key, commitments }], envelope]) => ({
          ...{ setting, key, commitments, envelope },
          ...{ creation: false, joint: false },
        }),
      );
      return { digest: digestOfDealing(bytes), dealer, parts };
    });
    if (items.length === 0) continue;
    const tie = { cluster: work.clusterId, epoch: helping.epoch, plan: helping.run, receiver: self.index };
    const { recoverer, run } = helping;
    const about = { job: 'mask-check' as const, recoverer, run: hex(run) };
    const { sealingSecret } = helping;
    const spoilt = items.find(({ dealer }) => isGivenUp(work, jobTag({ ...about, item: dealer })));
    if (spoilt !== undefined) return giveUpOn(work, helping, spoilt.dealer);
    const job = (some: CheckItem[]): Job => ({ kind: 'check', tie, sealingSecret, items: some });
    if (computeBatch(work, { about, items, nameOf: ({ dealer }) => dealer, job })) return true;
  }
  return false;
}

/** Leaves out a mask on which the worker died again and again, even alone. Its dealer is not blamed. */
function giveUpOn(work: Work<'mask-given-up'>, helping: Helping, dealer: number): true {
  const { [dealer]: _, ...inbox } = helping.inbox;
  change(work, helping, { inbox, refused: { ...helping.refused, [dealer]: true } });
  work.rule('mask-given-up', { dealer });
  return true;
}

/**
 * The masks are checked. The member that recovers gets the list of masks that this member holds. A false mask
 * is left out, and its dealer is blamed.
 */
export function masksChecked(work: Work, about: OfRun, result: Extract<JobResult, { kind: 'check' }>): void {
  const helping = helpingOf(work, about);
  if (helping === null) return;
  const inbox = { ...helping.inbox };
  const masks = { ...helping.masks };
  const refused = { ...helping.refused };
  for (const { digest, numbers } of result.results) {
    const entry = Object.values(inbox).find(({ public: bytes }) => sameBytes(digestOfDealing(bytes), digest));
    if (entry === undefined) continue;
    delete inbox[entry.dealer];
    if (numbers === null) {
      refused[entry.dealer] = true;
      work.blame({ epoch: helping.epoch, by: entry.dealer, kind: 'false-mask' });
    } else masks[entry.dealer] = { digest: hex(digest), numbers };
  }
  sendHeld(work, change(work, helping, { inbox, masks, refused }));
}

function sendHeld(work: Work, helping: Helping): void {
  const masks = Object.entries(helping.masks).map(([index, { digest }]) => ({
    index: Number(index),
    digest: fromHex(digest),
  }));
  const packet = signRecoveryMessage(work, (by) => ({
    v: 1,
    type: 'recover-held',
    by,
    epoch: helping.epoch,
    run: helping.run,
    masks,
  }));
  if (packet !== null) sendRecovery(work, helping.recoverer, packet);
}

/** The same run came again. Any answer to it may have been lost, so all of them are sent again. */
function repeat(work: Work, helping: Helping): void {
  const self = selfIn(work);
  if (helping.own === null && self !== undefined) dealMask(work, helping, self.index);
  else sealMask(work, helping);
  sendPublic(work, helping);
  for (const [receiver, packet] of Object.entries(helping.outbox))
    sendRecovery(work, Number(receiver), packet);
  if (Object.keys(helping.masks).length > 0) sendHeld(work, helping);
}

/** This member's part in the run of a job. Null when the run is no longer the current one. */
export function helpingOf(work: Work, { recoverer, run }: OfRun): Helping | null {
  const helping = work.volatile.recovery.helping[recoverer];
  return helping !== undefined && hex(helping.run) === run && helping.epoch === headOf(work).epoch
    ? helping
    : null;
}
