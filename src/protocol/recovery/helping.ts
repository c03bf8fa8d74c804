/**
 * §5 at the helpers: grant and hold, deal a fresh mask for the run, say whose masks are held, and send at most one sum.
 * The recovering peer is not trusted: it learns f(r), which is its own, and nothing of a helper's share.
 */

import { sealingKeyFromSeed } from '../../crypto/key-agreement.ts';
import { decode, encode, fromHex, hex, sameBytes } from '../codec.ts';
import { ProtocolError } from '../errors.ts';
import type { JobResult, KeySetting } from '../io.ts';
import { digestOfDealing } from '../messages.ts';
import { type Packet, verifyPacket } from '../packet.ts';
import {
  headLink,
  headOf,
  headSettings,
  holdsShare,
  isSuspended,
  selfIn,
  signingSecret,
  type View,
} from '../queries.ts';
import { memberAt } from '../roster.ts';
import { decodePublic } from '../validity.ts';
import type { Work } from '../work.ts';
import { grantSchema, hashOfChoice, hashOfRun, type Of } from './messages.ts';
import { patch, sendTo, signed } from './speak.ts';
import type { Helping } from './state.ts';

/** Whether this member can help in the newest epoch: it has applied it. */
const canHelp = (work: Work): boolean =>
  holdsShare(work) && headOf(work).keys.length > 0 && signingSecret(work) !== null;

const change = (work: Work, helping: Helping, by: Partial<Helping>): Helping => {
  const next = { ...helping, ...by };
  patch(work, { helping: { ...work.volatile.recovery.helping, [helping.recoverer]: next } });
  return next;
};

/**
 * A member that has not attended for more than `absentEpochsMax` changes (its epoch key is still the one of then) is
 * served only after reinstatement (§5 "Sleepers").
 */
export function isSleeper(view: View, index: number): boolean {
  const head = headOf(view);
  const then = view.durable.links[head.epoch - view.genesis.absentEpochsMax - 1]?.value;
  const before = then && memberAt(then.roster, index);
  const now = memberAt(head.roster, index);
  return (
    before !== undefined &&
    now !== undefined &&
    before.peer === now.peer &&
    sameBytes(before.epochKey, now.epochKey)
  );
}

/** Step 1: grants with a one-time sealing key and holds the next change, once per peer and epoch; or answers *wait*. */
export function receiveAsk(work: Work, message: Of<'recover-ask'>): void {
  if (!canHelp(work)) return;
  const { by, epoch, nonce } = message;
  if (isSuspended(work, by) || isSleeper(work, by)) return;
  const { recovery } = work.volatile;
  const key = `${epoch}/${by}`;
  const firstMs = recovery.askedAtMs[key];
  if (firstMs === undefined) patch(work, { askedAtMs: { ...recovery.askedAtMs, [key]: work.nowMs } });

  const attending = Object.keys(work.durable.attended).length > 0 && work.durable.own.retired >= epoch;
  if (attending && work.nowMs < (firstMs ?? work.nowMs) + work.timing.recoveryHoldMs) {
    const wait = signed(work, (self) => ({
      type: 'recover-wait',
      by: self,
      epoch,
      to: by,
      nonce,
      until: epoch + 1,
    }));
    if (wait !== null) sendTo(work, by, wait);
    work.rule('recover-wait', { epoch, to: by });
    return;
  }
  const known = recovery.granted[by];
  if (known !== undefined && sameBytes(known.nonce, nonce)) return sendTo(work, by, known.packet);
  const sealing = sealingKeyFromSeed(work.draw(32));
  const packet = signed(work, (self) => ({
    type: 'recover-grant',
    by: self,
    epoch,
    to: by,
    nonce,
    sealingKey: sealing.publicKey,
  }));
  if (packet === null) return;
  patch(work, {
    granted: {
      ...work.volatile.recovery.granted,
      [by]: { nonce, packet, sealingSecret: sealing.secretKey, sealingKey: sealing.publicKey },
    },
  });
  if (firstMs === undefined && !attending) {
    patch(work, { hold: { epoch, recoverer: by, untilMs: work.nowMs + work.timing.recoveryHoldMs } });
    work.rule('recover-hold', { epoch, for: by });
  }
  sendTo(work, by, packet);
  work.rule('recover-grant', { epoch, to: by });
}

/** Step 2: a run names all helpers that granted, with their signed grants; each deals a fresh mask with root r. */
export function receiveRun(work: Work, message: Of<'recover-run'>, grants: readonly Packet[]): void {
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
  // A grant serves one run, and a restart forgets it: so there is never a second mask or sum for one run.
  if (granted === undefined || self === undefined || !sameBytes(granted.nonce, message.nonce)) return;
  if (current !== undefined && work.nowMs < current.startedAtMs + work.timing.resendMs) return; // limited in rate, never in number
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
  patch(work, { granted: rest });
  change(work, helping, {});
  work.compute(`mask/${message.by}/${hex(run)}`, {
    kind: 'deal',
    keys: headSettings(work),
    dealer: self.index,
  });
  work.rule('recover-mask', { epoch: message.epoch, for: message.by });
}

/** Every named sealing key must be its helper's own word: else r could slip in keys of its own and read the masks. */
function checkGrants(work: Work, message: Of<'recover-run'>, grants: readonly Packet[]): void {
  const bad = (why: string): never => {
    throw new ProtocolError('bad-recovery', why, { culprit: message.by });
  };
  const seen = new Set<number>();
  const keys = new Set<string>();
  for (const { index, sealingKey } of message.helpers) {
    const member = memberAt(headOf(work).roster, index);
    if (member === undefined || index === message.by || seen.has(index) || keys.has(hex(sealingKey)))
      bad('a run names a helper that cannot be one');
    seen.add(index);
    keys.add(hex(sealingKey));
  }
  for (const packet of grants) {
    const grant = decode(grantSchema, packet.body);
    const member = memberAt(headOf(work).roster, grant.by);
    const named = message.helpers.find(({ index }) => index === grant.by);
    if (member === undefined || named === undefined || !verifyPacket(work.clusterId, member.epochKey, packet))
      return bad('a grant is not signed by a helper');
    if (
      grant.epoch !== message.epoch ||
      grant.to !== message.by ||
      !sameBytes(grant.nonce, message.nonce) ||
      !sameBytes(grant.sealingKey, named.sealingKey)
    )
      bad('a grant was given for something else');
    seen.delete(grant.by);
  }
  if (seen.size > 0) bad('a grant is missing');
}

/** The mask's polynomial is dealt: its public half goes to r, and sealed numbers to the other helpers. */
export function masked(work: Work, about: string, result: Extract<JobResult, { kind: 'deal' }>): void {
  const helping = helpingOf(work, about);
  const self = selfIn(work);
  if (helping === null || self === undefined) return;
  const bytes = encode({
    epoch: helping.epoch,
    plan: helping.run,
    dealer: self.index,
    parts: headOf(work).keys.map((key, at) => ({ key: key.id, commitments: result.commitments[at] })),
  });
  const digest = digestOfDealing(bytes);
  const next = change(work, helping, {
    own: { digest, public: bytes, coefficients: result.coefficients, numbers: result.own },
    masks: { ...helping.masks, [self.index]: { digest: hex(digest), numbers: result.own } },
  });
  const tie = {
    cluster: work.clusterId,
    epoch: helping.epoch,
    plan: helping.run,
    digest,
    sender: self.index,
  };
  work.compute(`mask-seal/${about}`, {
    kind: 'seal',
    keys: headSettings(work),
    coefficients: result.coefficients,
    tie,
    receivers: helping.helpers,
  });
  sendPublic(work, next);
}

function sendPublic(work: Work, helping: Helping): void {
  const { own, run, epoch, recoverer } = helping;
  if (own === null) return;
  const packet = signed(work, (by) => ({
    type: 'recover-mask',
    by,
    epoch,
    run,
    receiver: recoverer,
    public: own.public,
    envelopes: [],
  }));
  if (packet !== null) sendTo(work, recoverer, packet);
}

export function maskSealed(work: Work, about: string, result: Extract<JobResult, { kind: 'seal' }>): void {
  const helping = helpingOf(work, about);
  if (helping?.own == null) return;
  const { own, run, epoch } = helping;
  const outbox: Record<string, Packet> = {};
  for (const { receiver, envelopes } of result.sealed) {
    const packet = signed(work, (by) => ({
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
    sendTo(work, receiver, packet);
  }
  change(work, helping, { outbox });
}

/** Another helper's mask for a run that this member helps; numbers are checked by a job. */
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
  change(work, helping, {
    inbox: {
      ...helping.inbox,
      [message.by]: { dealer: message.by, public: message.public, envelopes: message.envelopes },
    },
  });
  return true;
}

/** The shape of a mask's public half: every key, t commitments, this run. Throws `bad-recovery`. */
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
        sameBytes(part.key, (keys[at] as (typeof keys)[number]).id) &&
        part.commitments.length === threshold - 1,
    );
  if (!fits)
    throw new ProtocolError('bad-recovery', `the mask of ${message.by} is not one for this run`, {
      culprit: message.by,
    });
}

/** Rule `recover-check`: checks the masks that came, together. */
export function checkMasks(work: Work): boolean {
  const self = selfIn(work);
  if (self === undefined) return false;
  for (const helping of Object.values(work.volatile.recovery.helping)) {
    const items = Object.values(helping.inbox).map(({ dealer, public: bytes, envelopes }) => {
      const half = decodePublic(bytes);
      const parts = half.parts.map((part, at) => ({
        setting: headSettings(work)[at] as KeySetting,
        commitments: part.commitments,
        creation: false,
      }));
      return { digest: digestOfDealing(bytes), dealer, parts, envelopes };
    });
    if (items.length === 0) continue;
    const tie = { cluster: work.clusterId, epoch: helping.epoch, plan: helping.run, receiver: self.index };
    if (
      work.compute(`mask-check/${helping.recoverer}/${hex(helping.run)}`, {
        kind: 'check',
        tie,
        sealingSecret: helping.sealingSecret,
        items,
      })
    )
      return true;
  }
  return false;
}

/** Masks are checked: r is told whose this member holds; a false one is left out, and its dealer named. */
export function masksChecked(work: Work, about: string, result: Extract<JobResult, { kind: 'check' }>): void {
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
  const packet = signed(work, (by) => ({
    type: 'recover-held',
    by,
    epoch: helping.epoch,
    run: helping.run,
    masks,
  }));
  if (packet !== null) sendTo(work, helping.recoverer, packet);
}

/** The run came again: whatever it asked for may have been lost. */
function repeat(work: Work, helping: Helping): void {
  sendPublic(work, helping);
  for (const [receiver, packet] of Object.entries(helping.outbox)) sendTo(work, Number(receiver), packet);
  if (Object.keys(helping.masks).length > 0) sendHeld(work, helping);
}

/** r's choice: exactly k helpers that hold each other's masks, this member among them. The first choice of a run binds. */
export function receiveChoice(work: Work, message: Of<'recover-choice'>): void {
  const helping = work.volatile.recovery.helping[message.by];
  if (helping === undefined || !sameBytes(helping.run, message.run)) return;
  if (helping.choice !== null) {
    if (helping.sum !== null && sameBytes(choiceName(helping.choice), choiceName(message)))
      sendTo(work, message.by, helping.sum);
    return;
  }
  const self = selfIn(work);
  const head = headLink(work).value;
  const bad = (why: string): never => {
    throw new ProtocolError('bad-recovery', why, { culprit: message.by });
  };
  if (
    message.helpers.length !== head.threshold ||
    new Set(message.helpers.map(({ index }) => index)).size !== head.threshold
  )
    bad('a choice must name k different helpers');
  if (self === undefined || !message.helpers.some(({ index }) => index === self.index)) return;
  for (const { index, digest } of message.helpers)
    if (helping.masks[index]?.digest !== hex(digest))
      return bad('a choice names a mask that this member does not hold');
  const next = change(work, helping, { choice: message });
  const shares = work.durable.shares[head.epoch] as Record<string, Uint8Array>;
  work.compute(`sum/${message.by}/${hex(message.run)}`, {
    kind: 'sum',
    keys: headSettings(work),
    shares: head.keys.map((key) => shares[hex(key.id)] as Uint8Array),
    index: self.index,
    root: message.by,
    masks: message.helpers.map(({ index }) => (next.masks[index] as { numbers: Uint8Array[] }).numbers),
    sealingKey: next.sealingKey,
    tie: {
      cluster: work.clusterId,
      epoch: head.epoch,
      plan: next.run,
      digest: choiceName(message),
      sender: self.index,
      receiver: message.by,
    },
  });
}

/** The digest that a sum is tied to: the masks used, by dealer. */
export const choiceName = ({ helpers }: Pick<Of<'recover-choice'>, 'helpers'>): Uint8Array =>
  hashOfChoice(encode(helpers));

/** The one sum of this run: the same bytes whenever it is asked for again. */
export function summed(work: Work, about: string, result: Extract<JobResult, { kind: 'sum' }>): void {
  const helping = helpingOf(work, about);
  if (helping?.choice == null || helping.sum !== null) return;
  const choice = choiceName(helping.choice);
  const packet = signed(work, (by) => ({
    type: 'recover-sum',
    by,
    epoch: helping.epoch,
    run: helping.run,
    choice,
    envelopes: result.envelopes,
  }));
  if (packet === null) return;
  change(work, helping, { sum: packet });
  sendTo(work, helping.recoverer, packet);
  work.rule('recover-sum', { epoch: helping.epoch, for: helping.recoverer });
}

/** `recoverer/run` of a job's tag → the run, if it is still the current one. */
function helpingOf(work: Work, about: string): Helping | null {
  const [recoverer, run] = about.split('/');
  const helping = work.volatile.recovery.helping[recoverer as string];
  return helping !== undefined && hex(helping.run) === run && helping.epoch === headOf(work).epoch
    ? helping
    : null;
}
