/** What `status` and `doctor` say is wrong with a member or its group, and what a person can do about it. */
import { hex } from '../../protocol/codec.ts';
import { limits } from '../../protocol/limits.ts';
import {
  changeQuorum,
  headOf,
  holdsShare,
  isSleeper,
  isSuspended,
  selfIn,
  valueQuorum,
} from '../../protocol/queries.ts';
import { type Member, memberAt } from '../../protocol/roster.ts';
import type { CoreState } from '../../protocol/state.ts';
import { blameInWords, blameViews } from './blame-views.ts';
import { destroyedKeysHeld } from './destroyed-keys.ts';
import { failingJobProblems } from './failing-jobs.ts';
import type { ChangeView, Problem } from './view.ts';

/** The daemon's monotonic clock, which the core's timers are on, and the wall clock. */
export interface Clocks {
  nowMs: number;
  wallMs: number;
}

/** What every change and every start passes through is no problem before it has lasted this long. */
export const noticeAfterMs = 2000;
/** A change that waits for this long may wait for members that never come back. */
export const goneAfterMs = 10 * 60_000;

/** `reachable`: peer ids with a proven connection. */
export function problemsOf(
  state: CoreState,
  change: ChangeView | null,
  reachable: ReadonlySet<string>,
  clocks: Clocks,
): Problem[] {
  const self = selfIn(state);
  if (self === undefined)
    return [
      {
        code: 'evicted',
        what: 'This peer was evicted and has erased its shares.',
        remedy: 'Stop it; a new home can join again.',
      },
    ];
  const away = headOf(state).roster.filter(({ peer }) => peer !== state.peer && !reachable.has(peer));
  return [
    ...clockProblems(state),
    ...placeProblems(state, self),
    ...shareProblems(state, self, away, clocks),
    ...changeProblems(state, change, away, clocks),
    ...recallProblems(state, reachable),
    ...failingJobProblems(state),
    ...seenProblems(state),
  ];
}

const listed = (members: readonly Member[]): string => members.map(({ name }) => name).join(', ');
const ofAll = (needed: number, all: number): string =>
  needed === all ? `all ${all}` : `${needed} of ${all}`;

/** Whether this peer may speak for its place in the roster at all. */
function placeProblems(state: CoreState, self: Member): Problem[] {
  const problems: Problem[] = [];
  const again = `Let it join with a new home under the name ${self.name}, and the operator run: holdfast reinstate ${self.name}.`;
  if (isSuspended(state, self.index))
    problems.push({
      code: 'suspended',
      what: 'This peer signed two different Attends for one plan and is suspended: its key may be in other hands.',
      remedy: again,
    });
  if (isSleeper(state, self.index))
    problems.push({
      code: 'absent-too-long',
      what: `This peer took part in none of the last ${state.genesis.absentEpochsMax} epoch changes: the others no longer give it its share.`,
      remedy: again,
    });
  if (state.durable.epochSecrets[hex(self.epochKey)] === undefined)
    problems.push({
      code: 'no-epoch-key',
      what: 'This peer does not hold the secret of its listed epoch key: its store went back to before its last Attend.',
      remedy: `${again} Never restore a store from a backup.`,
    });
  if (state.durable.own.muted !== null)
    problems.push({
      code: 'store-went-back',
      what: 'This peer’s store is older than what the peer has signed; it stays silent until the next epoch.',
      remedy: 'Never restore a store from a backup. It takes part again after the next epoch change.',
    });
  return problems;
}

function shareProblems(
  state: CoreState,
  self: Member,
  away: readonly Member[],
  { nowMs }: Clocks,
): Problem[] {
  const { roster, threshold, epoch, keys } = headOf(state);
  const here = roster.length - away.length;
  const problems: Problem[] = [];
  const { bootedAtMs, lastChangeAtMs } = state.volatile;
  const served = !isSuspended(state, self.index) && !isSleeper(state, self.index);
  if (served && !holdsShare(state) && nowMs >= Math.max(bootedAtMs, lastChangeAtMs ?? 0) + noticeAfterMs)
    problems.push({
      code: 'no-share',
      what: `This peer holds no share of epoch ${epoch} and counts as absent; ${threshold} others that hold theirs can give it back.`,
      remedy:
        here > threshold
          ? 'Nothing to do: it asks them until it has its share.'
          : `Start ${listed(away)}, or mend the network between them.`,
    });
  if (keys.length > 0 && here < threshold)
    problems.push({
      code: 'cannot-sign',
      what: `Only ${here} of the ${threshold} peers that a signature needs can be reached; missing: ${listed(away)}.`,
      remedy: 'Start the missing peers, or mend the network between them.',
    });
  return problems;
}

function changeProblems(
  state: CoreState,
  change: ChangeView | null,
  away: readonly Member[],
  { wallMs }: Clocks,
): Problem[] {
  const { roster } = headOf(state);
  const needed = valueQuorum(state, headOf(state));
  if (change === null) {
    if (roster.length - away.length >= needed) return [];
    return [
      {
        code: 'refresh-will-wait',
        what: `The next refresh will wait: it needs ${ofAll(needed, roster.length)} members, and ${listed(away)} cannot be reached.`,
        remedy: 'Start the missing peers.',
      },
    ];
  }
  if (change.attending.length >= change.needed || wallMs - change.sinceMs < noticeAfterMs) return [];
  // Whoever still waits for its own share has the change to wait for, and is not the one to judge.
  const mayBeGone = holdsShare(state) && wallMs - change.sinceMs >= goneAfterMs;
  const verb = change.phase === 'gathering' ? 'attend' : 'be ready';
  return [
    {
      code: 'refresh-waits',
      what: `The change to epoch ${change.epoch} waits: it needs ${ofAll(change.needed, roster.length)} members to ${verb}; missing: ${change.missing.join(', ')}.`,
      remedy: `Start the missing peers; it goes on by itself. Signing is not affected.${mayBeGone ? ' Those that are gone for good: holdfast evict NAME… --forced.' : ''}`,
    },
  ];
}

/** The restart rule (§4): below a quorum of answers this peer signs nothing in epoch changes. */
function recallProblems(state: CoreState, reachable: ReadonlySet<string>): Problem[] {
  const { recall } = state.volatile;
  if (recall === null) return [];
  const others = headOf(state).roster.filter(({ peer }) => peer !== state.peer);
  const answered = others.filter(({ peer }) => recall.answered[peer]);
  const silent = others.filter(({ peer }) => !recall.answered[peer]);
  const needed = changeQuorum(state) - 1;
  const away = silent.filter(({ peer }) => !reachable.has(peer));
  const canEnd = others.length - away.length >= needed;
  return [
    {
      code: 'recalling',
      what: `Since its start this peer takes no part in epoch changes: ${ofAll(needed, others.length)} others must first tell it what it had said before; ${answered.length === 0 ? 'none has yet' : `so far ${listed(answered)}`}, missing: ${listed(silent)}.`,
      remedy: canEnd
        ? 'Nothing to do: they are being asked.'
        : `Start ${listed(away)}, or mend the network: it goes on by itself. Signing is not affected.`,
    },
  ];
}

/** What this peer saw others do, and what they may still hold. */
function seenProblems(state: CoreState): Problem[] {
  const head = headOf(state);
  const destroyed = destroyedKeysHeld(state).map(({ name, epoch, members }) => ({
    code: 'destroyed-key-held',
    what: `Key ${name} was destroyed in epoch ${epoch}, and ${members.join(', ')} may still hold a share of it.`,
    remedy: 'Start them: they erase it when they are back. Below the threshold such shares are worthless.',
  }));
  const suspended = head.suspended
    .map(({ index }) => memberAt(head.roster, index)?.name)
    .filter((name) => name !== undefined && name !== selfIn(state)?.name)
    .map((name) => ({
      code: 'member-suspended',
      what: `${name} signed two different Attends for one plan and is suspended: it is dealt nothing, and counts as faulty.`,
      remedy: `Look at ${name}'s machine. Then reinstate it with a new home (holdfast reinstate ${name}), or evict it.`,
    }));
  const blames = [head.epoch - 2, head.epoch - 1, head.epoch, head.epoch + 1].flatMap((epoch) =>
    blameViews(state, epoch).map((blame) => ({
      code: blame.kind,
      what: `${blame.member} did wrong in epoch ${epoch}: ${blameInWords(blame)}.`,
      remedy: blame.certain
        ? `Look at ${blame.member}'s machine; evict it if it was broken into.`
        : blame.accusers.length === 0
          ? `Look at ${blame.member}'s machine, and at this one.`
          : `Look at ${[blame.member, ...blame.accusers].join("'s and ")}'s machines: one of them is wrong.`,
    })),
  );
  return [...destroyed, ...suspended, ...blames];
}

/** Expiry of requests needs clocks within 60 s of each other (§8): names the clock that is wrong, ours or a peer's. */
function clockProblems(state: CoreState): Problem[] {
  const wrong = Object.entries(state.volatile.clockAheadMs).filter(
    ([, ahead]) => Math.abs(ahead) > limits.clockSkewMs,
  );
  const known = Object.keys(state.volatile.clockAheadMs).length;
  if (wrong.length === 0) return [];
  const remedy = 'Set the clock (NTP). Until then requests to use a key may be refused as expired.';
  const minutes = (ms: number) => `${Math.max(1, Math.round(Math.abs(ms) / 60_000))} min`;
  if (known > 1 && wrong.length === known) {
    const ahead = wrong.map(([, ms]) => ms).sort((a, b) => a - b)[Math.floor(wrong.length / 2)] as number;
    return [
      {
        code: 'own-clock',
        what: `This peer's clock is ${minutes(ahead)} ${ahead > 0 ? 'behind' : 'ahead of'} all others.`,
        remedy,
      },
    ];
  }
  return wrong.map(([peer, ahead]) => {
    const name = headOf(state).roster.find((member) => member.peer === peer)?.name ?? peer;
    return {
      code: 'peer-clock',
      what: `The clocks of this peer and ${name} differ by ${minutes(ahead)}.`,
      remedy,
    };
  });
}
