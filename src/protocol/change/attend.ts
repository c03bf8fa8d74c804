/** §4.1 Attend: taking part in the change of the newest epoch, once for each plan, with fresh keys each time. */

import { sealingKeyFromSeed } from '../../crypto/key-agreement.ts';
import { ed25519FromSeed } from '../../crypto/signature.ts';
import {
  attendedPlans,
  attendsOf,
  barePlan,
  bestPlan,
  draftOfPlan,
  electors,
  headLink,
  headOf,
  isSleeper,
  isSuspended,
  type ReadableState,
  retiredHead,
  selfIn,
  signingSecret,
} from '../machine/queries.ts';
import type { Work } from '../machine/work.ts';
import type { Attend, Carried } from '../records/change-messages.ts';
import { hex, sameBytes } from '../records/codec.ts';
import { draftOf, planOf, valueAtBest } from '../records/draft.ts';
import type { Draft } from '../records/draft-actions.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import { checkOrder, forcedEvictionIn, type Order, orderId } from '../records/order.ts';
import { memberAt } from '../records/roster.ts';
import { compareWithShown } from './contradiction.ts';
import { keepAttend, signAndPublishAttend } from './message-slots.ts';
import { beginRecall } from './recall.ts';

/** Why this member does not attend now although it would; null when nothing holds it. */
export function attendHeldBy(state: ReadableState): 'not-retired' | 'recovery-hold' | 'too-young' | null {
  if (state.durable.own.forced !== null) return null; // those who would be waited for are gone
  if (!retiredHead(state)) return 'not-retired';
  const { hold } = state.volatile.recovery;
  if (hold !== null && state.volatile.nowMs < hold.untilMs) return 'recovery-hold';
  const young =
    state.volatile.lastChangeAtMs !== null &&
    state.volatile.nowMs < state.volatile.lastChangeAtMs + state.timing.minimumIntervalMs;
  // Orders do not wait, but for those that the last change had to leave behind: they would start one change
  // after another.
  const { certificate } = headLink(state);
  const leftBehind =
    certificate.type === 'precommits' && certificate.round >= limits.undecidedRoundsBeforeBarePlan;
  if (young && (leftBehind || bestPlan(state).orders.length === 0)) return 'too-young';
  return null;
}

/** Whether there is a reason to attend: the timer, the operator's wish, an order, or somebody who attends. */
function attendReason(state: ReadableState): string | null {
  if (bestPlan(state).orders.length > 0) return 'order';
  if (Object.keys(state.durable.attends).length > 0) return 'seen';
  if (state.volatile.refreshWanted) return 'wanted';
  if (state.volatile.refreshAtMs !== null && state.volatile.nowMs >= state.volatile.refreshAtMs)
    return 'timer';
  return null;
}

/** Rule `attend`: publishes `Attend` for the best plan known, and for the bare plan after three undecided rounds. */
export function attend(work: Work<'attend' | 'contradiction'>): boolean {
  const reason = attendReason(work);
  const signer = signingSecret(work);
  if (reason === null || signer === null || attendHeldBy(work) !== null) return false;
  if (isSuspended(work, signer.index) || isSleeper(work, signer.index)) return false;
  const best = bestPlan(work);
  const wanted = [best];
  const { rounds } = work.durable.own;
  const orderless = work.durable.own.forced === null && best.orders.length > 0;
  if (rounds !== null && rounds.round >= limits.undecidedRoundsBeforeBarePlan && orderless)
    wanted.push(barePlan(work));
  for (const { plan, orders } of wanted) {
    if (work.durable.attended[hex(plan)] !== undefined) continue;
    const full = Object.keys(work.durable.attended).length >= limits.plansPerMemberMax;
    if (full && work.durable.own.forced === null) continue;
    const epochSeed = work.draw(32);
    const sealing = sealingKeyFromSeed(work.draw(32));
    const { publicKey: epochKey } = ed25519FromSeed(epochSeed);
    const epoch = headOf(work).epoch + 1;
    work.put('epochSecrets', hex(epochKey), epochSeed);
    work.put('attended', hex(plan), {
      epochKey,
      sealingKey: sealing.publicKey,
      sealingSecret: sealing.secretKey,
    });
    work.put('plans', hex(plan), { orders });
    const { publicKey: sealingKey } = sealing;
    signAndPublishAttend(
      work,
      (by) => ({ v: 1, type: 'attend', by, epoch, plan, epochKey, sealingKey }),
      orders,
    );
    work.rule('attend', { epoch, reason, orders: orders.length });
    return true;
  }
  return false;
}

/**
 * A forced eviction runs in an instance of its own: whoever it leaves drops what was said in the ordinary
 * one, and never votes there again (§5). Who is evicted by it goes on as before: it may be the second group
 * that the risk speaks of.
 */
function enterForced(work: Work<'enter-forced'>, plan: string, draft: Draft): void {
  const self = selfIn(work);
  if (draft.forced === null || self === undefined || !draft.forced.includes(self.index)) return;
  if (!narrows(work, draft.forced)) return;
  for (const section of ['attends', 'haves', 'proposals', 'votes', 'contradictions'] as const)
    work.clear(section);
  // A store that went back in the ordinary instance is not silent in this one; whether it went back in this
  // one too, those who remain tell (§4, restart rule).
  work.own({ rounds: null, forced: { plan, remaining: draft.forced }, muted: null });
  beginRecall(work);
  work.volatile.verdicts = {};
  work.volatile.refutedProposals = {};
  work.volatile.timers = {};
  work.volatile.gatheringSinceMs = null;
  work.volatile.windowEndsAtMs = null;
  work.rule('enter-forced', { epoch: headOf(work).epoch + 1, remaining: draft.forced.length });
}

/**
 * Whether a forced eviction that leaves these members may begin: the first one, or one that leaves fewer of
 * those whom the present one left, because more are gone. Else one death among those who remain would stop
 * the group for ever.
 */
export function narrows(state: ReadableState, remaining: readonly number[]): boolean {
  const { forced } = state.durable.own;
  return (
    forced === null ||
    (remaining.length < forced.remaining.length &&
      remaining.every((index) => forced.remaining.includes(index)))
  );
}

/** Takes up an order of the operator that fits; a forced eviction at once. */
export function takeOrder(work: Work<'enter-forced'>, order: Order): void {
  checkFits(work, order);
  if (forcedEvictionIn(order) === null) {
    learnOrder(work, order);
    return;
  }
  const parent = headOf(work);
  const draft = draftOf(work.genesis, work.clusterId, parent, [order]);
  const plan = hex(planOf(parent, draft, [order]));
  work.put('plans', plan, { orders: [order] });
  enterForced(work, plan, draft);
}

/** Keeps a verified Attend, and learns the orders that it carries. Throws `bad-plan` when they do not make its plan. */
export function receiveAttend(
  work: Work<'enter-forced' | 'contradiction'>,
  message: Attend,
  carried: Carried,
): void {
  const plan = hex(message.plan);
  if (isSuspended(work, message.by))
    throw new ProtocolError('not-a-member', `member ${message.by} is suspended`, { action: 'ignore' });
  // With a new epoch key it would be no sleeper any more, and be given its share (§5).
  if (isSleeper(work, message.by))
    throw new ProtocolError('not-a-member', `member ${message.by} was away too long: it must be reinstated`, {
      action: 'ignore',
    });
  const said = Object.values(work.durable.attends).filter((entry) => entry.message.by === message.by);
  const known = said.some((entry) => sameBytes(entry.message.plan, message.plan));
  const full = said.length >= limits.plansPerMemberMax && !known;
  const tooMany = () =>
    new ProtocolError('too-many', `member ${message.by} attends too many plans`, { culprit: message.by });
  if (work.durable.plans[plan] !== undefined) {
    if (full && work.durable.own.forced === null) throw tooMany();
  } else {
    const orders: Order[] = carried.orders ?? [];
    const parent = headOf(work);
    const draft = draftOf(work.genesis, work.clusterId, parent, orders);
    if (!sameBytes(planOf(parent, draft, orders), message.plan))
      throw new ProtocolError('bad-plan', 'the orders do not make the plan', { culprit: message.by });
    if (full && draft.forced === null) throw tooMany();
    work.put('plans', plan, { orders });
    for (const order of orders) learnOrder(work, order);
    enterForced(work, plan, draft);
  }
  // Whom a forced eviction leaves out has no part in its instance, nor has what it evicts, though it may
  // bring the order.
  if (draftOfPlan(work, plan)?.forced != null && work.durable.own.forced?.plan !== plan) return;
  if (memberAt(electors(work), message.by) === undefined) return;
  if (keepAttend(work, message, carried)) compareWithShown(work);
}

/**
 * Refuses an operator's order that does not fit the newest value after the orders already pending. Throws
 * `ProtocolError`. Orders that peers teach are taken in without this: they wait until they fit.
 */
export function checkFits(state: ReadableState, order: Order): void {
  const parent = headOf(state);
  checkOrder(state.genesis, state.clusterId, parent, order);
  const { sequence, ancestorEpoch } = order.body;
  const forced = forcedEvictionIn(order);
  if (forced !== null) {
    draftOf(state.genesis, state.clusterId, parent, [order]);
    if (!narrows(state, forced.remaining))
      throw new ProtocolError(
        'bad-order',
        'a forced eviction runs; only one that leaves fewer can replace it',
      );
    return;
  }
  if (state.durable.own.forced !== null)
    throw new ProtocolError('bad-order', 'a forced eviction runs; hand the order in when it is decided');
  const before: Order[] = [];
  for (let next = parent.lastOrder + 1; next < sequence; next += 1) {
    const pending = state.durable.orders[next];
    if (pending === undefined)
      throw new ProtocolError('bad-order', `order ${sequence} does not follow the last one, ${next - 1}`);
    before.push(pending);
  }
  const held = state.durable.orders[sequence];
  const fitting = held !== undefined && isIn(bestPlan(state).orders, held);
  if (
    held !== undefined &&
    fitting &&
    orderId(held) !== orderId(order) &&
    ancestorEpoch <= held.body.ancestorEpoch
  )
    throw new ProtocolError(
      'order-pending',
      `another order ${sequence} is pending; wait until it is carried out`,
    );
  checkFollows(state, before, order);
}

const isIn = (orders: readonly Order[], order: Order): boolean =>
  orders.some((other) => orderId(other) === orderId(order));

/** What does not fit into one change with the orders before it must fit into the change after them (§4.1). */
function checkFollows(state: ReadableState, before: readonly Order[], order: Order): void {
  const { genesis, clusterId } = state;
  let parent = headOf(state);
  let together: Order[] = [];
  for (const next of [...before, order]) {
    try {
      draftOf(genesis, clusterId, parent, [...together, next]);
      together = [...together, next];
    } catch (error) {
      if (!(error instanceof ProtocolError) || together.length === 0) throw error;
      parent = valueAtBest(genesis, parent, draftOf(genesis, clusterId, parent, together));
      draftOf(genesis, clusterId, parent, [next]);
      together = [next];
    }
  }
}

/**
 * Keeps an order that fits. Its sequence number goes to a new one when it no longer fits, or when the
 * operators signed the new one on a later value: so they can replace an order that cannot take effect.
 */
function learnOrder(work: Work, order: Order): boolean {
  const { sequence } = order.body;
  const held = work.durable.orders[sequence];
  if (held !== undefined) {
    const known = isIn(bestPlan(work).orders, held) || sequence > headOf(work).lastOrder + 1;
    if (known && !outranks(order, held)) return false;
  }
  if (Object.keys(work.durable.orders).length >= limits.ordersPendingMax && held === undefined) return false;
  work.put('orders', sequence, order);
  return true;
}

/**
 * Which of two orders with one number everybody keeps: the one on the later value; of two on the same value,
 * which an operator gave to two members by mistake, the one with the smaller hash. Else each half would
 * attend a plan of its own.
 */
function outranks(order: Order, held: Order): boolean {
  const [newer, older] = [order.body.ancestorEpoch, held.body.ancestorEpoch];
  return newer === older ? orderId(order) < orderId(held) : newer > older;
}

/**
 * Rule `open-rounds`: the dealing window and round 0 open when a quorum attends one plan (§4); below that no
 * round and no timer runs.
 */
export function openRounds(work: Work<'open-rounds'>): boolean {
  if (work.durable.own.rounds !== null) return false;
  const [plan] = attendedPlans(work);
  if (plan === undefined) return false;
  const epoch = headOf(work).epoch + 1;
  work.own({ rounds: { epoch, round: 0, step: 'propose', locked: null, valid: null } });
  work.volatile.windowEndsAtMs = work.nowMs + work.timing.dealingWindowMs;
  work.volatile.timers = {};
  work.rule('open-rounds', { epoch, attending: attendsOf(work, plan).length });
  return true;
}
