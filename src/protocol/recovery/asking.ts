/**
 * §5, at the member that recovers. It asks for grants, and begins a run with all helpers that granted. It
 * chooses `k` helpers that hold each other's masks, and has each accept that choice. It interpolates f(r)
 * from their sums. Helpers that are silent or false are left out of the next run while `k` others grant.
 */

import { sealingKeyFromSeed } from '../../crypto/key-agreement.ts';
import { sendRecovery, signRecoveryMessage, updateRecovery } from '../change/recovery-sending.ts';
import { beginPause } from '../machine/pauses.ts';
import { headOf, holdsShare, selfIn, signingSecret } from '../machine/queries.ts';
import type { Asking } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { encode, sameBytes } from '../records/codec.ts';
import type { Packet } from '../records/packet.ts';
import { hashOfRun, type Of } from '../records/recovery-messages.ts';
import { freshAsking, setAsking, stageMs } from './asking-state.ts';
import { moveRun } from './run.ts';

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
