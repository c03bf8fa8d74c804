/**
 * Advice about members that cannot do their part. It names only orders that the group could carry out now.
 */

import {
  evicting,
  evictingByForce,
  outlookOf,
  prospectsAfter,
  prospectsIn,
  reinstating,
  type Scene,
} from './possible-orders.ts';
import type { Ability, Certainty } from './view.ts';

export const namesOf = (members: readonly { name: string }[]): string =>
  members.map(({ name }) => name).join(', ');

/** The members that only need a start, or a connection. */
export const startable = (members: readonly Ability[]): Ability[] =>
  members.filter(({ connection, barred }) => connection === 'none' && barred === null);

/**
 * The reasons why members do not do their part. Members with the same reason share a phrase: "p3, p4 cannot
 * be reached; p5 is suspended".
 */
export function whyNot(members: readonly Ability[]): string {
  const reasons = Map.groupBy(members, reasonOf);
  return [...reasons]
    .map(([[one, several], who]) => `${namesOf(who)} ${who.length === 1 ? one : several}`)
    .join('; ');
}

type Reason = readonly [one: string, several: string];
const reasons: Readonly<Record<string, Reason>> = {
  none: ['cannot be reached', 'cannot be reached'],
  suspended: ['is suspended', 'are suspended'],
  'away-too-long': ['was away too long', 'were away too long'],
  unproven: [
    'does not prove its epoch key: its store went back, or it is behind',
    'do not prove their epoch keys: their stores went back, or they are behind',
  ],
  'unproven-here': [
    'cannot be asked, because this peer cannot prove its own epoch key',
    'cannot be asked, because this peer cannot prove its own epoch key',
  ],
  'store-went-back': ['has a store that went back', 'have stores that went back'],
  'on-two-machines': ['runs on two machines', 'run on two machines'],
  missing: ['holds no share now', 'hold no share now'],
  unknown: [
    'has not said yet whether it holds its share',
    'have not said yet whether they hold their shares',
  ],
};

const reasonOf = ({ connection, barred, share }: Ability): Reason =>
  reasons[barred ?? connectionReasons[connection] ?? (share === 'held' ? 'unknown' : share)] as Reason;

const connectionReasons: Readonly<Record<string, string>> = { none: 'none', unproven: 'unproven-here' };

/** Two ways to a quorum that attends: members to start, or members to evict by the remaining ones alone. */
export function waysToRefresh(scene: Scene): { start: Ability[]; force: Ability[] } {
  const { members } = scene;
  const start = prospectsIn(scene, whenStarted(members)).refresh.can === 'no' ? [] : startable(members);
  const leaving = members.filter(({ can }) => can.attend !== 'yes');
  const { can, draft } = outlookOf(scene, [
    evictingByForce(
      scene,
      leaving.map(({ index }) => index),
    ),
  ]);
  const goesOn = draft !== null && prospectsAfter(scene, draft).refresh.can === 'yes';
  // A member on two machines is not gone. One of its daemons must stop, and nobody needs to be evicted.
  const doubled = leaving.some(({ barred }) => barred === 'on-two-machines');
  return { start, force: can === 'yes' && goesOn && !doubled ? leaving : [] };
}

/** Whether a member can never take part again under its present identity. */
export const isOut = ({ barred }: Ability): boolean => barred === 'suspended' || barred === 'away-too-long';

/** The same members, as if all that are away worked again. */
export function whenStarted(members: readonly Ability[]): Ability[] {
  const away = startable(members);
  return members.map((member) => (away.includes(member) ? asStarted(member) : member));
}

/** A member that was away, as if it was started. The knowledge about its share stays the same. */
function asStarted(member: Ability): Ability {
  const holds: Certainty = member.share === 'held' ? 'yes' : member.share === 'missing' ? 'no' : 'unknown';
  return { ...member, connection: 'proven', can: { sign: holds, help: holds, attend: 'yes', deal: holds } };
}

/**
 * The ways in which a suspended, long absent or lost member could come back or leave. `ways` has those that
 * can be carried out now, and `can` says whether there are any.
 */
export function waysFor(
  scene: Scene,
  { index, name }: { index: number; name: string },
): { ways: string[]; can: Certainty } {
  const outlooks = [
    {
      ...outlookOf(scene, [reinstating(index)]),
      way: `reinstate it with a new home (holdfast reinstate ${name})`,
    },
    { ...outlookOf(scene, [evicting(index)]), way: `evict it (holdfast evict ${name})` },
  ];
  const ways = outlooks.filter(({ can }) => can === 'yes').map(({ way }) => way);
  return {
    ways,
    can: ways.length > 0 ? 'yes' : outlooks.some(({ can }) => can === 'unknown') ? 'unknown' : 'no',
  };
}

/** The advice about a suspended member, after a look at its machine. */
export function thenWhat(scene: Scene, member: { index: number; name: string }): string {
  const { ways, can } = waysFor(scene, member);
  if (can === 'yes') return `Then ${ways.join(', or ')}.`;
  if (can === 'no' && waysToRefresh(scene).force.some(({ index }) => index === member.index))
    return `Then evict it by force (holdfast evict ${member.name} --forced): no ordinary change can be decided any more.`;
  return can === 'unknown'
    ? 'Whether it can be reinstated or evicted now is not known here.'
    : 'It can be neither reinstated nor evicted now: too few others can attend, or hold their shares.';
}

/** How this peer gets its place again, when that can be carried out. */
export function comeBack(scene: Scene, { index, name }: { index: number; name: string }): string {
  const { can } = outlookOf(scene, [reinstating(index)]);
  if (can === 'no')
    return 'It cannot be reinstated now: too few other members can attend, or hold their shares.';
  const first =
    can === 'unknown' ? ', if the status of another member shows that enough of them can attend' : '';
  return `Let it join with a new home under the name ${name}, and the operator run: holdfast reinstate ${name}${first}.`;
}

/** The end of the sentence "Look at its machine". It names an eviction only when one can be carried out. */
export function mayEvict(scene: Scene, name: string): string {
  const member = scene.members.find((listed) => listed.name === name);
  if (member === undefined) return '.';
  const { can } = outlookOf(scene, [evicting(member.index)]);
  return can === 'yes'
    ? '; evict it if it was broken into.'
    : can === 'unknown'
      ? '. Whether it can be evicted now is not known here.'
      : '. It cannot be evicted now: too few members can take part in that change.';
}
