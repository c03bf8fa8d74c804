/** §5 step 2, at the member that recovers: masks, the choice of `k` helpers, their accepts and their sums. */
import { sendRecovery, signRecoveryMessage } from '../change/recovery-sending.ts';
import { headOf, valueFaults } from '../machine/queries.ts';
import type { Asking, Run } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { digestOfDealing } from '../records/change-messages.ts';
import { hex, sameBytes } from '../records/codec.ts';
import type { Packet } from '../records/packet.ts';
import { present } from '../records/present.ts';
import type { Chosen, Of } from '../records/recovery-messages.ts';
import { giveUp, setAsking, setRun, stageMs } from './asking-state.ts';
import { chooseHelpers } from './choosing.ts';
import { checkEnvelopes, checkMaskPublic } from './helping.ts';
import { combine } from './interpolating.ts';
import { choiceName } from './summing.ts';

/** Moves the run on by one stage, or sends the stage's messages again. */
export function moveRun(work: Work<'recover-choice' | 'recover-again'>, asking: Asking, run: Run): boolean {
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
