/**
 * The problems of a member and its group that `status` and `doctor` show, and what a person can do about
 * each.
 */

import {
  changeQuorum,
  headOf,
  holdsShare,
  isSleeper,
  isSuspended,
  listedSecret,
  selfIn,
  signsIn,
} from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { limits } from '../../protocol/records/limits.ts';
import { type Member, memberAt } from '../../protocol/records/roster.ts';
import { abilitiesIn } from './ability.ts';
import { comeBack, mayEvict, namesOf, startable, thenWhat } from './advice.ts';
import { blameInWords, blameViews } from './blame-views.ts';
import { destroyedKeysHeld } from './destroyed-keys.ts';
import { failingJobProblems } from './failing-jobs.ts';
import { ofAll, refreshProblems, signProblems, spareWarnings } from './group-problems.ts';
import { prospectsIn, type Scene, sceneOf } from './possible-orders.ts';
import type { Ability, ChangeView, Problem, Prospects } from './view.ts';

/** The monotonic clock, which the core's timers use, and the wall clock. Milliseconds. */
export interface Clocks {
  nowMs: number;
  wallMs: number;
}

/**
 * States that every change and every start passes through are no problems before they have lasted so long.
 */
export const noticeAfterMs = 2000;
/** A change that waits so long may wait for connected members that never take part. */
export const goneAfterMs = 10 * 60_000;

/** The codes of the problems that come first, in this order. While one lasts, no other problem matters. */
export const foremostCodes: readonly string[] = ['two-machines', 'cannot-sign', 'member-on-two-machines'];

/** The same problems, with the foremost ones first. */
export function foremostFirst(problems: readonly Problem[]): Problem[] {
  const rank = ({ code }: Problem): number => {
    const at = foremostCodes.indexOf(code);
    return at < 0 ? foremostCodes.length : at;
  };
  return [...problems].sort((a, b) => rank(a) - rank(b));
}

/** The abilities of the members, alone and together, and the problems and warnings for people. */
interface Assessment {
  roster: Ability[];
  prospects: Prospects;
  problems: Problem[];
  warnings: Problem[];
}

/**
 * Judges the group. `reachable` has the peer ids with a proven connection, and `doubled` those of members on
 * two machines.
 */
export function assess(
  state: CoreState,
  change: ChangeView | null,
  reachable: ReadonlySet<string>,
  { doubled, ...clocks }: Clocks & { doubled?: ReadonlySet<string> },
): Assessment {
  const roster = abilitiesIn(state, reachable, doubled);
  const scene = sceneOf(state, roster);
  const prospects = prospectsIn(scene);
  const self = selfIn(state);
  if (self === undefined)
    return {
      ...{ roster, prospects, warnings: [] },
      problems: [
        {
          code: 'evicted',
          what: 'This peer was evicted and has erased its shares.',
          remedy: 'Stop it; a new home can join again.',
        },
      ],
    };
  const { bootedAtMs, lastChangeAtMs } = state.volatile;
  const settled = clocks.nowMs >= Math.max(bootedAtMs, lastChangeAtMs ?? 0) + noticeAfterMs;
  const waitedMs = change === null ? 0 : clocks.wallMs - change.sinceMs;
  // A member that waits for its own share has the change to wait for. It cannot judge whether others are
  // gone.
  const gone = !holdsShare(state) ? 'nobody' : waitedMs >= goneAfterMs ? 'anybody' : 'unreachable';
  return {
    ...{ roster, prospects },
    problems: foremostFirst([
      ...clockProblems(state),
      ...versionProblems(state),
      ...placeProblems(state, self, scene),
      ...shareProblems(state, self, prospects, { settled, roster }),
      ...signProblems(scene, prospects, settled),
      ...refreshProblems(scene, prospects, change, { noticed: waitedMs >= noticeAfterMs, gone }),
      ...recallProblems(state, reachable, prospects),
      ...failingJobProblems(state),
      ...seenProblems(state, scene),
    ]),
    warnings: settled ? spareWarnings(scene, prospects) : [],
  };
}

export const problemsOf = (...given: Parameters<typeof assess>): Problem[] => assess(...given).problems;

const listed = namesOf;

/** Members that sent records of a later version. This peer is behind, and nobody did wrong. */
function versionProblems(state: CoreState): Problem[] {
  const { newerAt } = state.volatile;
  const newer = headOf(state).roster.filter(({ peer }) => newerAt[peer] !== undefined);
  const [first] = newer;
  if (first === undefined) return [];
  return [
    {
      code: 'other-version',
      what: `${listed(newer)} ${newer.length === 1 ? 'speaks' : 'speak'} a later version than this peer: ${newerAt[first.peer]}.`,
      remedy:
        'Until then this peer takes no part in what it cannot read. It stays as it is, and so do the others.',
    },
  ];
}

/** Whether this peer may act in its place of the roster. */
function placeProblems(state: CoreState, self: Member, scene: Scene): Problem[] {
  const problems: Problem[] = [];
  const again = comeBack(scene, self);
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
  if (listedSecret(state) === null)
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
  { recover, sign }: Prospects,
  { settled, roster }: { settled: boolean; roster: readonly Ability[] },
): Problem[] {
  const { threshold, epoch } = headOf(state);
  const asks = !isSuspended(state, self.index) && !isSleeper(state, self.index) && signsIn(state) !== 'no';
  if (!asks || !settled || holdsShare(state)) return [];
  const away = startable(roster).filter(({ share }) => share !== 'missing');
  const remedy =
    recover.can === 'yes'
      ? 'Nothing to do: it asks them until it has its share.'
      : recover.can === 'unknown'
        ? 'It asks them; whether enough of them hold theirs is not known yet.'
        : recover.able + recover.unknown + away.length >= recover.needed
          ? `Start ${listed(away)}, or mend the network between them.`
          : sign.can === 'no'
            ? 'Too few others hold theirs: nobody can give it back.'
            : 'Too few others that hold theirs take part at present.';
  return [
    {
      code: 'no-share',
      what: `This peer holds no share of epoch ${epoch} and counts as absent; ${threshold} others that hold theirs can give it back.`,
      remedy,
    },
  ];
}

/** The restart rule (§4): below a quorum of answers this peer signs nothing in epoch changes. */
function recallProblems(state: CoreState, reachable: ReadonlySet<string>, { sign }: Prospects): Problem[] {
  const { recall } = state.volatile;
  if (recall === null || listedSecret(state) === null) return [];
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
        : `Start ${listed(away)}, or mend the network: it goes on by itself.${sign.can === 'yes' ? ' Signing is not affected.' : ''}`,
    },
  ];
}

/** Wrong acts of others that this peer saw, and destroyed keys of which others may still hold shares. */
function seenProblems(state: CoreState, scene: Scene): Problem[] {
  const head = headOf(state);
  const destroyed = destroyedKeysHeld(state).map(({ name, epoch, members }) => ({
    code: 'destroyed-key-held',
    what: `Key ${name} was destroyed in epoch ${epoch}, and ${members.join(', ')} may still hold a share of it.`,
    remedy: 'Start them: they erase it when they are back. Below the threshold such shares are worthless.',
  }));
  const suspended = head.suspended
    .flatMap(({ index }) => memberAt(head.roster, index) ?? [])
    .filter(({ peer }) => peer !== state.peer)
    .map((member) => ({
      code: 'member-suspended',
      what: `${member.name} signed two different Attends for one plan and is suspended: it is dealt nothing, and counts as faulty.`,
      remedy: `Look at ${member.name}'s machine. ${thenWhat(scene, member)}`,
    }));
  const blames = [head.epoch - 2, head.epoch - 1, head.epoch, head.epoch + 1].flatMap((epoch) =>
    blameViews(state, epoch).map((blame) => ({
      code: blame.kind,
      what: `${blame.member} did wrong in epoch ${epoch}: ${blameInWords(blame)}.`,
      remedy: blame.certain
        ? `Look at ${blame.member}'s machine${mayEvict(scene, blame.member)}`
        : blame.accusers.length === 0
          ? `Look at ${blame.member}'s machine, and at this one.`
          : `Look at ${[blame.member, ...blame.accusers].join("'s and ")}'s machines: one of them is wrong.`,
    })),
  );
  return [...destroyed, ...suspended, ...blames];
}

/**
 * Expiry of requests needs clocks within 60 s of each other (§8). The problem names the wrong clock: this
 * peer's or another's.
 */
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
