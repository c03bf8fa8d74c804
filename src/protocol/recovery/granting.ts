/**
 * §5 step 1, at the helpers. A helper that holds the newest share grants, and holds the next change back. Or
 * it answers *wait*. This file also checks the grants that a run names.
 */

import { sealingKeyFromSeed } from '../../crypto/key-agreement.ts';
import { sendRecovery, signRecoveryMessage, updateRecovery } from '../change/recovery-sending.ts';
import { beginPause, endPauses } from '../machine/pauses.ts';
import { headOf, holdsShare, isSleeper, isSuspended, signingSecret } from '../machine/queries.ts';
import { askedKey } from '../machine/record-keys.ts';
import type { Work } from '../machine/work.ts';
import { decode, hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { type Packet, verifyPacket } from '../records/packet.ts';
import { grantSchema, type Of } from '../records/recovery-messages.ts';
import { memberAt } from '../records/roster.ts';

/** Whether this member can help in the newest epoch: it has applied the epoch, and may sign. */
export const canHelp = (work: Work): boolean =>
  holdsShare(work) && headOf(work).keys.length > 0 && signingSecret(work) !== null;

/**
 * Step 1: takes the question of the member that recovers. This member grants with a one-time sealing key and
 * holds the next change back, once for each member and epoch. Or it answers *wait*.
 */
export function receiveAsk(
  work: Work<'recover-wait' | 'recover-hold' | 'recover-grant'>,
  message: Of<'recover-ask'>,
): void {
  if (!canHelp(work)) return;
  const { by, epoch, nonce } = message;
  if (isSuspended(work, by) || isSleeper(work, by)) return;
  const { recovery } = work.volatile;
  const key = askedKey(epoch, by);
  const firstMs = recovery.askedAtMs[key];
  if (firstMs === undefined)
    updateRecovery(work, { askedAtMs: { ...recovery.askedAtMs, [key]: work.nowMs } });

  const attending = Object.keys(work.durable.attended).length > 0 && work.durable.own.retired >= epoch;
  if (attending && work.nowMs < (firstMs ?? work.nowMs) + work.timing.recoveryHoldMs) {
    const wait = signRecoveryMessage(work, (self) => ({
      v: 1,
      type: 'recover-wait',
      by: self,
      epoch,
      to: by,
      nonce,
      until: epoch + 1,
    }));
    if (wait !== null) sendRecovery(work, by, wait);
    beginPause(work, 'waited', by, epoch + 1);
    work.rule('recover-wait', { epoch, to: by });
    return;
  }
  const known = recovery.granted[by];
  if (known !== undefined && sameBytes(known.nonce, nonce)) return sendRecovery(work, by, known.packet);
  const sealing = sealingKeyFromSeed(work.draw(32));
  const packet = signRecoveryMessage(work, (self) => ({
    v: 1,
    type: 'recover-grant',
    by: self,
    epoch,
    to: by,
    nonce,
    sealingKey: sealing.publicKey,
  }));
  if (packet === null) return;
  updateRecovery(work, {
    granted: {
      ...work.volatile.recovery.granted,
      [by]: { nonce, packet, sealingSecret: sealing.secretKey, sealingKey: sealing.publicKey },
    },
  });
  if (firstMs === undefined && !attending) {
    updateRecovery(work, {
      hold: { epoch, recoverer: by, untilMs: work.nowMs + work.timing.recoveryHoldMs },
    });
    beginPause(work, 'held', by, epoch + 1);
    work.rule('recover-hold', { epoch, for: by });
  }
  endPauses(work, ({ kind, index }) => kind === 'waited' && index === by);
  sendRecovery(work, by, packet);
  work.rule('recover-grant', { epoch, to: by });
}

/**
 * Checks that each helper itself has signed the sealing key that the run names for it. Otherwise the member
 * that recovers could name keys of its own, and read the masks.
 * @throws ProtocolError `bad-recovery`
 */
export function checkGrants(work: Work, message: Of<'recover-run'>, grants: readonly Packet[]): void {
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
