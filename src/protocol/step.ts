/**
 * The core: `step(state, input) → { state, outputs }`. No promise, socket, timer, clock or logger; what a
 * step changes of the durable state is its first output, so that it is durable before anything else of the
 * step leaves.
 */
import assert from 'node:assert/strict';
import { nextRefreshAtMs } from './change/adopt.ts';
import { takeOrder } from './change/attend.ts';
import { summaryOf } from './change/catch-up.ts';
import { beginRecall } from './change/recall.ts';
import { takeCreationDealings } from './change/sub-shares.ts';
import { replayEarly, takeFrame } from './frames.ts';
import { durableDelta } from './machine/durable-records.ts';
import type { FramePath } from './machine/frame-paths.ts';
import type { Input, Output } from './machine/io.ts';
import { endPauses } from './machine/pauses.ts';
import { headOf } from './machine/queries.ts';
import { emitRefusal } from './machine/refusal.ts';
import { applyRetention } from './machine/retention.ts';
import type { PrintedByInput, PrintedName } from './machine/rule-names.ts';
import type { CoreState } from './machine/state.ts';
import { Work } from './machine/work.ts';
import { ProtocolError } from './records/errors.ts';
import { takeResult } from './results.ts';
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
  if (work.durable.own.head !== state.durable.own.head) {
    replayEarly(work);
    runRules(work);
  }
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
