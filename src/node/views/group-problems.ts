/**
 * Problems that stop the whole group, or leave it no member to spare: first signing, then the next change.
 */
import { isOut, namesOf, startable, waysFor, waysToRefresh, whenStarted, whyNot } from './advice.ts';
import { outlookOf, prospectsAfter, prospectsIn, type Scene } from './possible-orders.ts';
import { whoCan } from './prospects.ts';
import type { Ability, ChangeView, Problem, Prospects } from './view.ts';

/** Words for the members that are needed: "3 of 5", or "all 5". */
export const ofAll = (needed: number, all: number): string =>
  needed === all ? `all ${all}` : `${needed} of ${all}`;

/**
 * The problem that nobody can use a key, or that this is not known. Its remedy names only steps that can
 * help.
 */
export function signProblems(scene: Scene, { sign }: Prospects, settled: boolean): Problem[] {
  const { head, members } = scene;
  if (head.keys.length === 0 || sign.can === 'yes') return [];
  const able = whoCan(members, 'sign');
  const others = members.filter((member) => !able.includes(member));
  const here = `${able.length} can be reached${able.length === 0 ? '' : ` (${namesOf(able)})`}`;
  const why = whyNot(others);
  if (sign.can === 'unknown')
    return !settled
      ? []
      : [
          {
            code: 'signing-unknown',
            what: `It is not known yet whether a key can be used: ${sign.needed} members that hold their shares are needed, and ${here}; ${why}.`,
            remedy: 'Nothing to do if it passes; else look at those members.',
          },
        ];
  const away = startable(members);
  const holders = away.filter(({ share }) => share !== 'missing');
  const enough = able.length + sign.unknown + holders.length >= sign.needed;
  return [
    {
      code: 'cannot-sign',
      what: `Nobody can use a key: ${sign.needed} members that hold their shares are needed, and ${here}; ${why}.`,
      remedy: enough ? startHolders(holders) : lost(scene, [...able, ...holders]),
    },
  ];
}

function startHolders(holders: readonly Ability[]): string {
  const unsure = holders.filter(({ share }) => share === 'unknown');
  return `Start ${namesOf(holders)}, or mend the network between them.${unsure.length === 0 ? '' : ` Whether ${namesOf(unsure)} ${unsure.length === 1 ? 'holds its share' : 'hold their shares'} is not known here.`}`;
}

/** The remedy below `k` shares: then no part of the group can make another share. */
function lost({ head, members }: Scene, left: readonly Ability[]): string {
  const held = members.filter((member) => member.ready && !left.includes(member));
  const back =
    held.length === 0
      ? 'Only stores that last held one can help'
      : `Only stores that last held one can help, of ${namesOf(held)}`;
  const here = left.length === 0 ? '' : ` (${namesOf(left)})`;
  return `Starting, refreshing, reinstating or evicting members cannot help: of the ${head.threshold} shares of epoch ${head.epoch} that are needed ${left.length} ${left.length === 1 ? 'is' : 'are'} left${here}, and others can be made only from ${head.threshold}. ${back}, ${head.threshold - left.length} at least; without them the keys are lost for good.`;
}

/**
 * The members that may be gone for good among those that cannot attend. A connected member counts only after
 * minutes.
 */
type Gone = 'nobody' | 'unreachable' | 'anybody';

const isAway = (member: Ability): boolean => member.connection === 'none' || isOut(member);

/**
 * The problems of the next change, and of the change that is under way. `noticed`: that change waits longer
 * than a change ever does.
 */
export function refreshProblems(
  scene: Scene,
  prospects: Prospects,
  change: ChangeView | null,
  { noticed, gone }: { noticed: boolean; gone: Gone },
): Problem[] {
  const { members } = scene;
  const { refresh, sign } = prospects;
  const notAble = members.filter(({ can }) => can.attend !== 'yes');
  if (change === null) {
    if (refresh.can !== 'no') return [];
    const short = refresh.able < refresh.needed;
    return [
      {
        code: 'refresh-will-wait',
        what: short
          ? `The next refresh will wait: ${ofAll(refresh.needed, members.length)} members must attend, and ${refresh.able} can; ${whyNot(notAble)}.`
          : 'The next refresh will wait: too few members hold their shares.',
        remedy: refreshRemedy(scene, prospects, 'anybody'),
      },
    ];
  }
  if (change.attending.length >= change.needed || !noticed) return [];
  const verb = change.phase === 'gathering' ? 'attend' : 'be ready';
  const unaffected = sign.can === 'yes' ? ' Signing is not affected.' : '';
  const canGoOn =
    refresh.can !== 'no' &&
    change.missing.every((name) => members.some((one) => one.name === name && one.can.attend === 'yes'));
  return [
    {
      code: 'refresh-waits',
      what: `The change to epoch ${change.epoch} waits: it needs ${ofAll(change.needed, members.length)} members to ${verb}; missing: ${change.missing.join(', ')}.`,
      remedy: canGoOn
        ? `Nothing to do: they can be reached.${unaffected}`
        : `${refreshRemedy(scene, prospects, gone)}${unaffected}`,
    },
  ];
}

function refreshRemedy(scene: Scene, { sign, refresh }: Prospects, gone: Gone): string {
  if (scene.head.keys.length > 0 && sign.can === 'no')
    return 'It cannot go on before keys can be used again.';
  const { start, force } = waysToRefresh(scene);
  const steps = [
    ...(start.length > 0 ? [`Start ${namesOf(start)}; it goes on by itself.`] : []),
    ...(force.length > 0 &&
    (gone === 'anybody' || start.length === 0 || (gone === 'unreachable' && force.every(isAway)))
      ? [
          `${force.every(isOut) ? 'Waiting does not help' : `If ${namesOf(force)} ${force.length === 1 ? 'is' : 'are'} gone for good`}: holdfast evict ${force.map(({ name }) => name).join(' ')} --forced.`,
        ]
      : []),
  ];
  if (steps.length > 0) return steps.join(' ');
  const away = startable(scene.members);
  return away.length > 0
    ? `Start ${namesOf(away)} first: with them it can be seen what else helps; ${refresh.needed} must attend.`
    : refresh.can === 'no'
      ? 'Nothing that can be ordered now helps: neither those who can attend nor those who would remain after a forced eviction are enough.'
      : 'Nothing to do: they are being asked.';
}

/** Warnings about abilities that one member less would end. */
export function spareWarnings(scene: Scene, { sign, refresh }: Prospects): Problem[] {
  const all = scene.members.length;
  const warnings: Problem[] = [];
  if (scene.head.keys.length > 0 && sign.can === 'yes' && sign.spare === 0)
    warnings.push({
      code: 'no-spare-to-sign',
      what: `Signing has no member to spare: it needs ${sign.needed}, and ${sign.able} of ${all} can sign; with one less nobody can use a key.`,
      remedy: spareRemedy(scene, 'sign'),
    });
  if (refresh.can === 'yes' && refresh.spare === 0)
    warnings.push({
      code: 'no-spare-to-refresh',
      what: `A refresh has no member to spare: it needs ${ofAll(refresh.needed, all)}, and ${refresh.able} can attend; with one less it waits.`,
      remedy: spareRemedy(scene, 'refresh'),
    });
  return warnings;
}

/** The advice that gives a member to spare, the cheapest first: starting, reinstating, admitting. */
function spareRemedy(scene: Scene, goal: keyof Prospects): string {
  const { members } = scene;
  const away = startable(members);
  if (prospectsIn(scene, whenStarted(members))[goal].spare > 0) return `Start ${namesOf(away)}.`;
  const barred = members.filter((member) => member.barred !== null);
  for (const member of barred) {
    const { ways } = waysFor(scene, member);
    if (ways.length > 0) return `${member.name}: ${ways.join(', or ')}.`;
  }
  for (let more = 1; more <= newcomersMax; more += 1) {
    const admits = Array.from({ length: more }, (_, at) => ({
      type: 'admit' as const,
      ...{ name: `newcomer-${at}`, peer: `a-new-home-${at}`, epochKey: new Uint8Array(32) },
    }));
    const { can, draft } = outlookOf(scene, admits);
    if (can !== 'yes' || draft === null) break;
    if (prospectsAfter(scene, draft)[goal].spare > 0)
      return `Admit ${more === 1 ? 'another member' : `${more} more members`} (holdfast invite, then holdfast admit).`;
  }
  return away.length > 0 ? `Start ${namesOf(away)}.` : 'No single step gives one to spare now.';
}

/** No more newcomers than this are advised. */
const newcomersMax = 3;
