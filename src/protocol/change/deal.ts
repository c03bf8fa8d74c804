/** §4.2 Deal, the dealer's part: fresh sub-shares with root 0 from every attending member that holds its share. */

import { computeBatch } from '../machine/failing-jobs.ts';
import type { Job, JobResult } from '../machine/io.ts';
import { jobTag } from '../machine/job-tags.ts';
import {
  attendedPlans,
  attendsOf,
  contradicting,
  draftOfPlan,
  headOf,
  holdsShare,
  keySettings,
  type ReadableState,
  selfIn,
  signingSecret,
} from '../machine/queries.ts';
import { outboxKey } from '../machine/record-keys.ts';
import type { Work } from '../machine/work.ts';
import { type Dealing, type DealingPublic, digestOfDealing } from '../records/change-messages.ts';
import { encode, fromHex, type Hex, hex } from '../records/codec.ts';
import type { Draft } from '../records/draft-actions.ts';
import { signPacket } from '../records/packet.ts';
import { present, zip } from '../records/present.ts';
import { memberAt } from '../records/roster.ts';
import { isUnmade } from '../records/value.ts';
import { dealtKeys } from './next-keys.ts';

const settingsOf = (state: ReadableState, draft: Draft) =>
  keySettings(dealtKeys(draft), draft.threshold, state.genesis.membersMax);

/** The random gate (step 5): in round 0 a member deals when its drawn number is above its gate; later all do. */
function gateOpen(work: Work<'gate-closed'>): boolean {
  const epoch = headOf(work).epoch + 1;
  if (work.durable.own.drawn?.epoch !== epoch) {
    const number = new DataView(work.draw(8).buffer).getUint32(0) / 2 ** 32;
    work.own({ drawn: { epoch, number } });
    if (number <= work.before.gate) work.rule('gate-closed', { epoch });
  }
  return (
    (work.durable.own.rounds?.round ?? 0) > 0 || (work.durable.own.drawn?.number ?? 1) > work.before.gate
  );
}

/** Rule `deal`: computes this member's dealing for an attended plan that has a quorum. */
export function deal(work: Work<'gate-closed' | 'deal'>): boolean {
  const signer = signingSecret(work);
  if (signer === null || !holdsShare(work)) return false;
  for (const plan of attendedPlans(work)) {
    if (work.durable.attended[plan] === undefined || work.durable.dealt[plan] !== undefined) continue;
    const draft = present(draftOfPlan(work, plan), 'the draft of an attended plan');
    // What a key is made of must not depend on who draws a number.
    if (!draft.keys.some(isUnmade) && !gateOpen(work)) continue;
    const tie = { cluster: work.clusterId, plan: fromHex(plan) };
    const job: Job = { kind: 'deal', ...tie, keys: settingsOf(work, draft), dealer: signer.index };
    if (work.compute(jobTag({ job: 'deal', plan }), job)) {
      work.rule('deal', { epoch: headOf(work).epoch + 1 });
      return true;
    }
  }
  return false;
}

/** The dealing is computed: it becomes durable here, and this member is its own first receiver. */
export function dealt(work: Work, plan: Hex, result: Extract<JobResult, { kind: 'deal' }>): void {
  const draft = draftOfPlan(work, plan);
  const self = selfIn(work);
  if (draft === null || self === undefined || work.durable.attended[plan] === undefined) return; // decided meanwhile
  const epoch = headOf(work).epoch + 1;
  const half: DealingPublic = {
    v: 1,
    epoch,
    plan: fromHex(plan),
    dealer: self.index,
    parts: zip(dealtKeys(draft), result.parts).map(([{ id }, { commitments, possession }]) => ({
      key: id,
      commitments,
      ...(possession === null ? {} : { possession }),
    })),
  };
  const bytes = encode(half);
  const digest = digestOfDealing(bytes);
  const coefficients = result.parts.map((part) => part.coefficients);
  work.put('dealt', plan, { digest, public: bytes, coefficients });
  work.put('publics', hex(digest), { bytes });
  if (memberAt(draft.roster, self.index)?.peer === self.peer)
    work.put('subShares', hex(digest), {
      epoch,
      plan: fromHex(plan),
      dealer: self.index,
      numbers: result.parts.map(({ own }) => own),
    });
}

/** Attending members of the next roster to whom this dealing goes. */
function receiversOf(
  work: Work,
  plan: Hex,
  draft: Draft,
): Array<{ index: number; sealingKey: Uint8Array; peer: string }> {
  const left = contradicting(work);
  return attendsOf(work, plan).flatMap(({ message }) => {
    const member = memberAt(headOf(work).roster, message.by);
    const stays = member !== undefined && memberAt(draft.roster, message.by)?.peer === member.peer;
    return stays && member.peer !== work.peer && !left.has(message.by)
      ? [{ index: message.by, sealingKey: message.sealingKey, peer: member.peer }]
      : [];
  });
}

/**
 * Rule `seal`: seals this member's numbers for attenders that have no envelope yet; late ones are served
 * until the decision.
 */
export function seal(work: Work): boolean {
  if (signingSecret(work) === null) return false; // what it seals it could not sign
  for (const [plan, own] of Object.entries(work.durable.dealt)) {
    const draft = draftOfPlan(work, plan);
    const self = selfIn(work);
    if (draft === null || self === undefined || attendsOf(work, plan).length === 0) continue;
    const receivers = receiversOf(work, plan, draft).filter(
      ({ index }) => work.durable.outbox[outboxKey(plan, index)] === undefined,
    );
    if (receivers.length === 0) continue;
    const tie = {
      cluster: work.clusterId,
      epoch: headOf(work).epoch + 1,
      plan: fromHex(plan),
      digest: own.digest,
      sender: self.index,
    };
    const batch = {
      about: { job: 'seal' as const, plan },
      items: receivers.map(({ index, sealingKey }) => ({ index, sealingKey })),
      nameOf: ({ index }: { index: number }) => index,
      job: (some: Array<{ index: number; sealingKey: Uint8Array }>): Job => ({
        kind: 'seal',
        keys: zip(settingsOf(work, draft), own.coefficients).map(([setting, coefficients]) => ({
          setting,
          coefficients,
        })),
        tie,
        receivers: some,
      }),
    };
    if (computeBatch(work, batch)) return true;
  }
  return false;
}

/** Envelopes are made: one signed message per receiver, durable before it leaves, the same bytes at every re-send. */
export function sealed(work: Work, plan: Hex, result: Extract<JobResult, { kind: 'seal' }>): void {
  const own = work.durable.dealt[plan];
  const signer = signingSecret(work);
  if (own === undefined || signer === null || draftOfPlan(work, plan) === null) return;
  for (const { receiver, envelopes } of result.sealed) {
    const member = memberAt(headOf(work).roster, receiver);
    if (member === undefined) continue;
    const body: Dealing = {
      v: 1,
      type: 'dealing',
      by: signer.index,
      receiver,
      public: own.public,
      envelopes,
    };
    const packet = signPacket(work.clusterId, signer.secret, encode(body));
    work.put('outbox', outboxKey(plan, receiver), { packet });
    work.emit({ type: 'send', to: member.peer, frame: { type: 'message', message: { packet } } });
  }
}
