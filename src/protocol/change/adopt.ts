/** Taking up a certified value, decided here or pulled from others: the one place where the newest epoch moves. */

import { endPauses } from '../machine/pauses.ts';
import { headOf, selfIn } from '../machine/queries.ts';
import { noRecovery } from '../machine/recovery-state.ts';
import { dropExpired, recordDestroyedKeys } from '../machine/retention.ts';
import type { Work } from '../machine/work.ts';
import { hex } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import { checkLink, type Link } from '../records/link.ts';
import { admittedBy } from '../records/order.ts';
import { hashOfValue } from '../records/value.ts';
import { keepOpenContradictions } from './contradiction.ts';
import { beginRecall } from './recall.ts';

/**
 * When this member's timer fires next: a period after the change, longer or shorter by the jitter (so that
 * not all fire).
 */
export function nextRefreshAtMs(work: Work, sinceMs: number): number {
  const draw = new DataView(work.draw(8).buffer).getUint32(0) / 2 ** 32;
  return sinceMs + work.timing.refreshPeriodMs * (1 + work.timing.refreshJitter * (2 * draw - 1));
}

/** Makes `link` the newest value. The caller has certified it: by its own quorum of precommits, or by `checkLink`. */
export function adopt(work: Work<'adopt' | 'evicted'>, link: Link): void {
  const { value } = link;
  const epoch = value.epoch;
  const before = headOf(work);
  const contradicted = Object.values(work.durable.blames)
    .filter((blame) => blame.epoch === epoch && blame.kind === 'contradiction')
    .map((blame) => blame.by);
  work.put('links', epoch, link);
  work.put('notes', epoch, { decidedAtMs: work.volatile.wallMs, value: hashOfValue(value), contradicted });
  recordDestroyedKeys(work, before, value);
  endPauses(work, (pause) => pause.epoch <= epoch);
  keepAdmissions(work, link);
  for (const section of ['attends', 'haves', 'proposals', 'votes', 'readys', 'plans'] as const)
    work.clear(section);
  keepOpenContradictions(work, before, value);
  work.retain('orders', (sequence) => Number(sequence) > value.lastOrder);
  work.own({ head: epoch, rounds: null, forced: null, muted: null });
  dropExpired(work);
  // What is still unchecked and did not count belongs to a plan with, maybe, other keys or another threshold.
  const counts = new Set(value.accepted.map(({ digest }) => hex(digest)));
  work.volatile.inbox = Object.fromEntries(
    Object.entries(work.volatile.inbox).filter(([, { digest }]) => counts.has(digest)),
  );
  work.volatile.jobs = Object.fromEntries(
    Object.entries(work.volatile.jobs).filter(([, state]) => state === 'under way'),
  );
  work.volatile.failing = {};
  work.volatile.parts = {};
  work.volatile.sums = {};
  work.volatile.candidate = null;
  work.volatile.retireProofs = {};
  work.volatile.verdicts = {};
  work.volatile.refutedProposals = {};
  work.volatile.gatheringSinceMs = null;
  work.volatile.windowEndsAtMs = null;
  work.volatile.timeoutsFromRound = 0;
  work.volatile.timeoutsResetBy = {};
  work.volatile.timers = {};
  work.volatile.haveAtMs = null;
  work.volatile.retireAtMs = null;
  work.volatile.refreshWanted = false;
  work.volatile.recovery = noRecovery();
  work.volatile.lastChangeAtMs = work.nowMs;
  work.volatile.refreshAtMs = nextRefreshAtMs(work, work.nowMs);
  work.volatile.resendIntervalMs = work.timing.resendMs;
  // A peer that still waits for others' memory asks again, about the change that is undecided now.
  if (work.volatile.recall !== null) beginRecall(work);
  // Who is evicted learns it from the value itself, before its connections end.
  for (const { peer } of before.roster)
    if (!value.roster.some((member) => member.peer === peer))
      work.emit({ type: 'send', to: peer, frame: { type: 'links', links: [link] } });
  work.emit({ type: 'roster', members: value.roster });
  work.rule('adopt', { epoch, value: hex(hashOfValue(value)).slice(0, 8), dealings: value.accepted.length });
  if (selfIn(work) === undefined) leave(work);
}

/** Remembers the orders that admitted members of this value, and forgets those of members that left. */
function keepAdmissions(work: Work, { value }: Link): void {
  for (const order of work.durable.plans[hex(value.plan)]?.orders ?? []) {
    for (const { peer } of admittedBy(order)) work.put('admissions', peer, order);
  }
  work.retain('admissions', (peer) => value.roster.some((member) => member.peer === peer));
}

/** This member was evicted: it erases what it held (§4, "A member that is being evicted … then erases"). */
function leave(work: Work<'evicted'>): void {
  for (const section of [
    'shares',
    'epochSecrets',
    'attended',
    'dealt',
    'outbox',
    'subShares',
    'orders',
  ] as const)
    work.clear(section);
  work.rotate = true;
  work.rule('evicted', { epoch: headOf(work).epoch });
}

/** Links from a peer, each checked from the last value known here. Throws `bad-link` or `bad-certificate`. */
export function receiveLinks(work: Work<'adopt' | 'evicted'>, links: readonly Link[]): void {
  // Links go into the archive with the step that adopts them: one that is forgotten in the same step would
  // never get there.
  const last = work.durable.own.head + limits.linksKept;
  for (const link of links) {
    if (link.value.epoch <= work.durable.own.head) continue;
    if (link.value.epoch > last) return; // the summary that answers this frame asks for the rest
    if (link.value.epoch > work.durable.own.head + 1) return; // the sender was asked for what comes first
    checkLink(work.genesis, work.clusterId, headOf(work), link);
    adopt(work, link);
  }
}
