/**
 * How much of a command's actions one change can do. The answer is found before anything is signed. It is all
 * of them, or the steps that can do them, each as an order of its own. The command also says what the group
 * is afterwards.
 */
import type { Home } from '../node/home/home.ts';
import { attendanceOf, barredInWords } from '../protocol/records/attendance.ts';
import { draftOfActions, valueAtBest } from '../protocol/records/draft.ts';
import type { Draft } from '../protocol/records/draft-actions.ts';
import { ProtocolError } from '../protocol/records/errors.ts';
import { limits } from '../protocol/records/limits.ts';
import type { Action } from '../protocol/records/order.ts';
import { explainChoice, memberAt } from '../protocol/records/roster.ts';
import type { Value } from '../protocol/records/value.ts';
import { CommandError, progress, warn } from './terminal.ts';

type Cluster = Pick<Home, 'genesis' | 'cluster'>;

/**
 * What one order of these actions makes of `head`.
 * @throws CommandError `refused` with the steps that can do it instead
 */
export function checkOneChange(actions: readonly Action[], head: Value, of: Cluster): Draft {
  const whole = attempt(actions, head, of);
  if (typeof whole !== 'string') return whole;
  const { steps, left, after } = stepsOf(actions, head, of);
  const inOrder = steps.map((step) => commandFor(step, head)).join(', then ');
  if (left.length === 0)
    throw new CommandError(
      'refused',
      `one change cannot do all of this: ${whole}; nothing was done; one after the other it can be done: ${inOrder}`,
    );
  if (steps.length === 0 || actions.length === 1)
    throw new CommandError('refused', `${whole}; nothing was done`);
  const done = steps.reduce((sum, step) => sum + step.length, 0);
  throw new CommandError(
    'refused',
    `${whole}; nothing was done; at most ${done} of these ${actions.length} can be done: ${inOrder}, which leaves ${whatIs(after, of)}`,
  );
}

/** What the actions make of a value, or the reason why they do not fit. */
function attempt(actions: readonly Action[], value: Value, { genesis, cluster }: Cluster): Draft | string {
  const most = limits.actionsPerOrderMax;
  if (actions.length > most) return `one order does at most ${most} things`;
  try {
    return draftOfActions(genesis, cluster, value, actions);
  } catch (error) {
    if (error instanceof ProtocolError) return error.message;
    throw error;
  }
}

/** The steps. Each takes, in their order, as many of the actions that are left as one change can do. */
function stepsOf(
  actions: readonly Action[],
  head: Value,
  of: Cluster,
): { steps: Action[][]; left: Action[]; after: Value } {
  const steps: Action[][] = [];
  let [left, after] = [[...actions], head];
  while (left.length > 0) {
    let [step, draft]: [Action[], Draft | null] = [[], null];
    // An action that is refused alone may fit together with a later one.
    for (let grows = true; grows; ) {
      grows = false;
      for (const action of left) {
        if (step.includes(action)) continue;
        const made = attempt([...step, action], after, of);
        if (typeof made === 'string') continue;
        [step, draft, grows] = [[...step, action], made, true];
      }
    }
    if (draft === null) break;
    steps.push(step);
    left = left.filter((action) => !step.includes(action));
    after = valueAtBest(of.genesis, after, draft);
  }
  return { steps, left, after };
}

/** The command that gives an order of these actions. All of them have one type. */
function commandFor(actions: readonly Action[], head: Value): string {
  const words = actions.map((action) => {
    if (action.type === 'evict') return memberAt(head.roster, action.index)?.name ?? `member ${action.index}`;
    return 'name' in action ? action.name : '';
  });
  const [{ type } = { type: 'evict' }] = actions;
  return `holdfast ${type} ${words.join(' ')}`;
}

/** What `n`, `k` and the barred members mean for a group. */
const whatIs = (value: Value, { genesis }: Cluster): string => {
  const barred = barredInWords(attendanceOf(genesis, value));
  const choice = explainChoice(value.roster.length, value.threshold, genesis.faultModel);
  return barred === '' ? choice : `${choice}, counting as dead who may take no part (${barred})`;
};

/** Says what the group is after a change of the roster or the threshold. */
export function sayWhatRemains(draft: Draft, head: Value, of: Cluster): void {
  const peersOf = ({ roster }: Pick<Value, 'roster'>) => roster.map(({ peer }) => peer).join();
  if (peersOf(draft) === peersOf(head) && draft.threshold === head.threshold) return;
  progress(`from the next epoch on: ${whatIs(valueAtBest(of.genesis, head, draft), of)}`);
}

/** Says what an order that others made leaves, or that the group would refuse it now. */
export function sayOutlook(actions: readonly Action[], head: Value, of: Cluster): void {
  const draft = attempt(actions, head, of);
  if (typeof draft === 'string') warn(`the group would refuse it now: ${draft}`);
  else sayWhatRemains(draft, head, of);
}
