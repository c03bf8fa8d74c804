/**
 * The core: `step(state, input) → { state, outputs }`. No promise, socket, timer, clock or logger; what a
 * step changes of the durable state is its first output, so that it is durable before anything else of the
 * step leaves.
 */
import assert from 'node:assert/strict';
import { receiveAccusation } from './change/accusation.ts';
import { nextRefreshAtMs, receiveLinks } from './change/adopt.ts';
import { receiveVote } from './change/agree.ts';
import { applied, combined, receiveReady, tried } from './change/apply.ts';
import { narrows, receiveAttend, takeOrder } from './change/attend.ts';
import { receivePublics, receiveSummary, summaryOf } from './change/catch-up.ts';
import { receiveContradiction } from './change/contradiction.ts';
import { partsJudged } from './change/created-parts.ts';
import { dealt, sealed } from './change/deal.ts';
import { keepMessage } from './change/message-slots.ts';
import { summedKeys } from './change/next-keys.ts';
import { receiveProposal } from './change/proposal.ts';
import { answerRecall, beginRecall, receiveOwn, receiveRecalled } from './change/recall.ts';
import { receiveRetireProof, retireJudged } from './change/retire-proof.ts';
import { checked, receiveDealing, takeCreationDealings } from './change/sub-shares.ts';
import { durableDelta } from './machine/durable-records.ts';
import { jobDone, jobFailed } from './machine/failing-jobs.ts';
import { type FramePath, isAcceptedBy } from './machine/frame-paths.ts';
import type { Input, JobResult, Output } from './machine/io.ts';
import { type JobAbout, type JobTag, readJobTag } from './machine/job-tags.ts';
import { endPauses } from './machine/pauses.ts';
import { draftOfPlan, headOf, isOfOtherInstance, type ReadableState } from './machine/queries.ts';
import { emitRefusal } from './machine/refusal.ts';
import { applyRetention } from './machine/retention.ts';
import type { PrintedByInput, PrintedName } from './machine/rule-names.ts';
import type { CoreState, Volatile } from './machine/state.ts';
import { Work } from './machine/work.ts';
import {
  type Carried,
  carriesItsOwn,
  frameEnvelope,
  type Have,
  type Message,
  messageSchema,
} from './records/change-messages.ts';
import { decode, encode, hex } from './records/codec.ts';
import { ProtocolError } from './records/errors.ts';
import { limits } from './records/limits.ts';
import { forcedEvictionIn } from './records/order.ts';
import { type Packet, verifyPacket } from './records/packet.ts';
import { recoveryMessageSchema } from './records/recovery-messages.ts';
import { memberAt } from './records/roster.ts';
import {
  isProbe,
  receiveAccept,
  receiveGrant,
  receiveHeld,
  receiveMaskPublic,
  receiveSum,
  receiveWait,
  recovered,
  stageMs,
} from './recovery/asking.ts';
import { receiveAsk } from './recovery/granting.ts';
import { masked, maskSealed, masksChecked, receiveMask, receiveRun } from './recovery/helping.ts';
import { receiveChoice, summed } from './recovery/summing.ts';
import { rules } from './rules.ts';

/** A fixpoint is reached in a few passes; more means that two rules undo each other, which is a bug. */
const passesMax = 10_000;

export function step(state: CoreState, input: Input): { state: CoreState; outputs: Output[] } {
  let work = begin(state, input);
  try {
    take(work, input);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const from = 'from' in input ? input.from : '';
    work = begin(state, input); // whatever the bad message began is gone
    emitRefusal(work, from, error);
  }
  runRules(work);
  if (work.durable.own.head !== state.durable.own.head) replayEarly(work);
  const after: CoreState = { ...state, durable: work.durable, volatile: work.volatile };
  const { puts, deletes } = durableDelta(state.durable, work.durable);
  const outputs = work.outputs;
  if (puts.length + deletes.length > 0 || work.rotate)
    outputs.unshift({ type: 'persist', puts, deletes, rotate: work.rotate });
  return { state: after, outputs };
}

function begin(state: CoreState, input: Input): Work<PrintedName> {
  const work = new Work<PrintedName>(state, input.entropy);
  work.volatile.nowMs = input.atMs;
  work.volatile.wallMs = input.wallMs;
  return work;
}

function runRules(work: Work<PrintedName>): void {
  for (let pass = 0; Object.values(rules).some((fire) => fire(work)); pass += 1)
    assert(pass < passesMax, 'the rules reach a fixpoint');
}

function take(work: Work<PrintedByInput>, input: Input): void {
  switch (input.type) {
    case 'boot':
      return boot(work);
    case 'tick':
      return;
    case 'refresh':
      work.volatile.refreshWanted = true;
      return;
    case 'connected':
      work.volatile.connected = { ...work.volatile.connected, [input.peer]: true };
      work.emit({ type: 'send', to: input.peer, frame: summaryOf(work, true) });
      return;
    case 'authenticated':
      work.volatile.authenticated = { ...work.volatile.authenticated, [input.peer]: true };
      work.volatile.resendIntervalMs = work.timing.resendMs;
      // Once a member and change: one that comes and goes would keep them too short for a slow network, for ever.
      if (!work.volatile.timeoutsResetBy[input.peer]) {
        work.volatile.timeoutsResetBy = { ...work.volatile.timeoutsResetBy, [input.peer]: true };
        work.volatile.timeoutsFromRound = work.durable.own.rounds?.round ?? 0;
      }
      if (work.volatile.recall !== null)
        work.volatile.recall = { ...work.volatile.recall, askAtMs: work.nowMs };
      work.emit({ type: 'send', to: input.peer, frame: summaryOf(work, true) });
      return;
    case 'unauthenticated': {
      const { [input.peer]: _, ...authenticated } = work.volatile.authenticated;
      work.volatile.authenticated = authenticated;
      // It may not know of the change that replaced its key, and have nothing to ask.
      work.emit({ type: 'send', to: input.peer, frame: summaryOf(work, true) });
      return;
    }
    case 'disconnected': {
      const { [input.peer]: _, ...connected } = work.volatile.connected;
      const { [input.peer]: __, ...authenticated } = work.volatile.authenticated;
      const { [input.peer]: ___, ...clockAheadMs } = work.volatile.clockAheadMs;
      const { [input.peer]: ____, ...saidOfSelf } = work.volatile.saidOfSelf;
      const { [input.peer]: ______, ...newerAt } = work.volatile.newerAt;
      work.volatile.saidOfSelf = saidOfSelf;
      work.volatile.newerAt = newerAt;
      const { [input.peer]: _____, ...chains } = work.volatile.chains;
      work.volatile.clockAheadMs = clockAheadMs;
      work.volatile.chains = chains;
      work.volatile.connected = connected;
      work.volatile.authenticated = authenticated;
      return;
    }
    case 'order':
      return takeOrder(work, input.order);
    case 'dealings':
      takeCreationDealings(work, input.packets);
      return;
    case 'gossip':
    case 'frame':
      return takeFrame(work, input.from, pathOf(input), input.frame);
    case 'computed':
      return takeResult(work, input.tag, input.result);
  }
}

/** Timers are volatile: they are armed again, the refresh timer from the wall clock of the last change. */
function boot(work: Work): void {
  const head = headOf(work);
  const decidedAtMs = work.durable.notes[head.epoch]?.decidedAtMs ?? work.volatile.wallMs;
  const agoMs = Math.max(0, work.volatile.wallMs - decidedAtMs);
  work.volatile.refreshAtMs = nextRefreshAtMs(work, work.nowMs - agoMs);
  work.volatile.lastChangeAtMs = head.epoch === 0 ? null : work.nowMs - agoMs;
  work.volatile.bootedAtMs = work.nowMs;
  if (Object.keys(work.durable.attends).length > 0) work.volatile.gatheringSinceMs = work.nowMs;
  applyRetention(work);
  endPauses(work, () => true); // a hold ends with the process that held
  if (work.durable.own.rounds?.round === 0)
    work.volatile.windowEndsAtMs = work.nowMs + work.timing.dealingWindowMs;
  beginRecall(work);
  work.emit({ type: 'roster', members: head.roster });
}

const pathOf = (input: Extract<Input, { frame: Uint8Array }>): FramePath =>
  input.type === 'gossip' ? 'gossip' : input.authenticated ? 'proven' : 'unproven';

function takeFrame(
  work: Work<PrintedByInput<'frame'>>,
  from: string,
  path: FramePath,
  bytes: Uint8Array,
): void {
  const frame = frameEnvelope.decode(bytes);
  if (!isAcceptedBy(frame.type, path)) {
    if (path === 'unproven') return; // its handshake may still be running
    throw new ProtocolError('not-for-gossip', `a ${frame.type} was published`, { action: 'ignore' });
  }
  switch (frame.type) {
    case 'message':
      return takeMessage(work, from, frame.message);
    case 'summary':
      return receiveSummary(work, from, path === 'proven', frame);
    case 'links':
      receiveLinks(work, frame.links);
      work.emit({ type: 'send', to: from, frame: summaryOf(work, true) });
      return;
    case 'retire':
      return receiveRetireProof(work, from, frame.proof);
    case 'publics':
      return receivePublics(work, frame.publics);
    case 'contradiction':
      return receiveContradiction(work, frame.first, frame.second);
    case 'accusation':
      return receiveAccusation(work, frame.packet);
    case 'recovery':
      return takeRecovery(work, from, frame.packet, frame.beside);
    case 'recall':
      return answerRecall(work, from, frame.epoch, frame.nonce);
    case 'recalled':
      return receiveRecalled(work, frame.packet, frame.packets);
  }
}

/** §5: messages of a recovery in the newest epoch, each signed with its author's epoch key. */
function takeRecovery(
  work: Work<PrintedByInput<'frame'>>,
  from: string,
  packet: Packet,
  beside: readonly Packet[],
): void {
  const message = decode(recoveryMessageSchema, packet.body);
  const head = headOf(work);
  if (message.epoch !== head.epoch) {
    work.emit({ type: 'send', to: from, frame: summaryOf(work, message.epoch > head.epoch) });
    return;
  }
  const member = memberAt(head.roster, message.by);
  if (member === undefined || member.peer === work.peer)
    throw new ProtocolError('not-a-member', `no other member has index ${message.by}`);
  if (!verifyPacket(work.clusterId, member.epochKey, packet))
    throw new ProtocolError('bad-signature', `a ${message.type} is not signed by member ${message.by}`);
  switch (message.type) {
    case 'recover-ask':
      return receiveAsk(work, message);
    case 'recover-grant':
      return receiveGrant(work, message, packet);
    case 'recover-wait':
      return receiveWait(work, message);
    case 'recover-run':
      return receiveRun(work, message, beside);
    case 'recover-mask':
      return receiveMask(work, message) ? undefined : receiveMaskPublic(work, message);
    case 'recover-held':
      return receiveHeld(work, message);
    case 'recover-choice':
      return receiveChoice(work, message, beside);
    case 'recover-accept':
      return receiveAccept(work, message, packet);
    case 'recover-sum':
      return receiveSum(work, message);
  }
}

/**
 * A signed message: of the undecided change, or a Ready of the newest epoch; later ones wait, older ones are
 * dropped.
 */
function takeMessage(work: Work<PrintedByInput<'frame'>>, from: string, carried: Carried): void {
  const message = decode(messageSchema, carried.packet.body);
  if (!carriesItsOwn(message, carried))
    throw new ProtocolError('malformed', `what comes with a ${message.type} does not belong to it`);
  if (message.type === 'dealing') return receiveDealing(work, from, message, carried.packet);
  const head = headOf(work);
  const current = message.type === 'ready' ? head.epoch : head.epoch + 1;
  if (message.epoch > current) {
    const bytes = encode(carried).length;
    const small = carried.evidence === undefined && bytes <= limits.earlyBytesMax;
    if (message.epoch === current + 1) {
      if (small) work.volatile.early = bounded([...work.volatile.early, { from, carried, bytes }]);
    } else work.emit({ type: 'send', to: from, frame: summaryOf(work, true) });
    return;
  }
  if (message.epoch < current) return;
  const member = memberAt(head.roster, message.by);
  if (member === undefined) throw new ProtocolError('not-a-member', `no member has index ${message.by}`);
  if (!verifyPacket(work.clusterId, member.epochKey, carried.packet))
    throw new ProtocolError('bad-signature', `a ${message.type} is not signed by member ${message.by}`);
  if (isOfOtherInstance(work, message) && !bringsNarrower(work, message, carried)) return;
  if (member.peer === work.peer && message.type !== 'ready') return receiveOwn(work, message, carried.packet);
  switch (message.type) {
    case 'attend':
      return receiveAttend(work, message, carried);
    case 'have':
      return receiveHave(work, message, carried);
    case 'proposal':
      return receiveProposal(work, from, message, carried);
    case 'prevote':
    case 'precommit':
      return receiveVote(work, message, carried);
    case 'ready':
      return receiveReady(work, message, carried);
  }
}

/** Over the bound the oldest of whoever sent most gives way: nobody can push out what others sent. */
function bounded(early: Volatile['early']): Volatile['early'] {
  const share = (some: Volatile['early'] = []) =>
    some.length / limits.earlyMessages +
    some.reduce((sum, { bytes }) => sum + bytes, 0) / limits.earlyTotalBytesMax;
  const total = early.reduce((sum, { bytes }) => sum + bytes, 0);
  if (early.length <= limits.earlyMessages && total <= limits.earlyTotalBytesMax) return early;
  const senders = Object.groupBy(early, ({ from }) => from);
  const [most] = Object.values(senders).sort((a, b) => share(b) - share(a));
  return bounded(early.filter((each) => each !== most?.[0]));
}

/**
 * An Attend for a forced eviction that leaves fewer than the present one takes whoever remains over into its
 * instance.
 */
function bringsNarrower(state: ReadableState, message: Message, { orders }: Carried): boolean {
  const order = message.type === 'attend' && orders?.length === 1 ? orders[0] : undefined;
  const forced = order === undefined ? null : forcedEvictionIn(order);
  return forced !== null && narrows(state, forced.remaining);
}

function receiveHave(work: Work, message: Have, carried: Carried): void {
  const names = message.digests.map((digest) => hex(digest));
  if (names.some((name, at) => name <= (names[at - 1] ?? '')))
    throw new ProtocolError('bad-have', 'a Have lists digests twice or unsorted', { culprit: message.by });
  if (work.durable.plans[hex(message.plan)] === undefined)
    throw new ProtocolError('early', 'a Have came before any Attend of its plan', { action: 'ignore' });
  const created = draftOfPlan(work, hex(message.plan))?.created.length ?? 0;
  if (names.length > headOf(work).roster.length + created)
    throw new ProtocolError('bad-have', 'a Have lists more dealings than the plan can have', {
      culprit: message.by,
    });
  keepMessage(work, message, carried);
}

/** Messages that came before the decision of their parent, now that it is here. */
function replayEarly(work: Work<PrintedName>): void {
  const waiting = work.volatile.early;
  work.volatile.early = [];
  for (const { from, carried } of waiting) {
    try {
      takeMessage(work, from, carried);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      emitRefusal(work, from, error);
    }
  }
  runRules(work);
}

/**
 * A job has ended. Its tag says what it was for; one that no longer matters is dropped by the function that
 * takes it.
 */
function takeResult(work: Work<PrintedByInput<'computed'>>, tag: JobTag, result: JobResult): void {
  const about = readJobTag(tag);
  const { [tag]: _, ...others } = work.volatile.jobs;
  work.volatile.jobs = isVain(about, result) ? { ...others, [tag]: 'vain' } : others;
  if (result.kind !== 'failed') jobDone(work, tag);
  switch (result.kind) {
    case 'deal':
      if (about.job === 'deal') return dealt(work, about.plan, result);
      if (about.job === 'mask') return masked(work, about, result);
      break;
    case 'seal':
      if (about.job === 'seal') return sealed(work, about.plan, result);
      if (about.job === 'mask-seal') return maskSealed(work, about, result);
      break;
    case 'check':
      if (about.job === 'check') return checked(work, about.plan, result);
      if (about.job === 'mask-check') return masksChecked(work, about, result);
      break;
    case 'judge-parts':
      if (about.job === 'judge-parts') return partsJudged(work, about.plan, about.digest, result.isTrue);
      break;
    case 'sum-keys':
      if (about.job === 'sum-keys') return summedKeys(work, about.plan, about.set, result.sums);
      break;
    case 'judge-retire':
      if (about.job === 'judge-retire') return retireJudged(work, about.epoch, about.from, result.isTrue);
      break;
    case 'apply':
      if (about.job === 'apply') return applied(work, about.epoch, result);
      break;
    case 'trial':
      if (about.job === 'trial') return tried(work, about.epoch, result.trials);
      break;
    case 'combine-trial':
      if (about.job === 'combine-trial') return combined(work, about.epoch, result);
      break;
    case 'sum':
      if (about.job === 'sum') return summed(work, about, result);
      break;
    case 'recover':
      if (about.job === 'recover') return recovered(work, about, result);
      break;
    case 'failed':
      return jobFailed(work, tag, result.cause);
  }
  assert.fail(`a job with the tag ${tag} has a result of its own kind, not ${result.kind}`);
}

/** Results that the same job would give again: its tag stays taken, so that no rule asks in a circle. */
const isVain = (about: JobAbout, result: JobResult): boolean =>
  (result.kind === 'recover' && isProbe(about)) ||
  (result.kind === 'apply' && result.shares === null) ||
  (result.kind === 'combine-trial' && result.proofs === null && result.culprits.length === 0);

/** When the driver must send the next `tick`; null while nothing waits for time. */
export function nextTickAtMs(state: ReadableState): number | null {
  const { volatile } = state;
  const times = [
    volatile.recall?.askAtMs ?? null,
    volatile.refreshAtMs,
    volatile.lastChangeAtMs === null ? null : volatile.lastChangeAtMs + state.timing.minimumIntervalMs,
    volatile.windowEndsAtMs,
    volatile.haveAtMs,
    volatile.retireAtMs,
    volatile.resendAtMs,
    ...recoveryTimes(state),
    ...Object.values(volatile.timers).map((timer) => timer?.atMs ?? null),
    ...Object.values(volatile.failing).map(({ retryAtMs }) => retryAtMs),
  ].filter((at): at is number => at !== null && at > volatile.nowMs);
  return times.length === 0 ? null : Math.min(...times);
}

function recoveryTimes({ volatile, timing }: ReadableState): Array<number | null> {
  const { asking, hold } = volatile.recovery;
  const ends = asking?.run?.stageEndsAtMs ?? null;
  return [
    hold?.untilMs ?? null,
    asking?.sendAtMs ?? null,
    asking?.enoughAtMs ?? null,
    ends,
    ends === null ? null : ends - stageMs({ timing }) / 2,
    volatile.lastChangeAtMs === null ? null : volatile.lastChangeAtMs + 3 * timing.resendMs + 1,
  ];
}
