/**
 * Whether enough members may attend (§4.1). The Attend of a suspended member counts for nobody, nor does a
 * sleeper's, and neither gets a share to be ready with: with fewer than a quorum of others no change is
 * decided and none is retired. This is the one rule of that: for what orders may make of a group, for forced
 * evictions, and for what is said of a group.
 */
import { ProtocolError } from './errors.ts';
import type { Genesis } from './genesis.ts';
import { type Member, memberAt, quorumOf, sleeps } from './roster.ts';
import type { Suspension, Value } from './value.ts';

type Rules = Pick<Genesis, 'absentEpochsMax' | 'faultModel'>;
/** What of a value decides who may attend the change after it. */
type Standing = Pick<Value, 'epoch' | 'roster' | 'threshold' | 'suspended'>;

/** What orders make of it; `forced`: who alone decides. */
type Next = Pick<Value, 'roster' | 'threshold'> & { forced: readonly number[] | null };

interface Attendance {
  /** Members whose Attend counts. */
  able: Member[];
  suspended: Member[];
  /** Sleepers that are not suspended. */
  asleep: Member[];
  /** How many must attend. */
  quorum: number;
}

/** Who may attend the change after `value`; `deciders`: all members, or those whom a forced eviction leaves. */
export function attendanceOf(rules: Rules, value: Standing, deciders = value.roster): Attendance {
  const isSuspended = ({ index }: Member) => value.suspended.some((each) => each.index === index);
  const isAsleep = (member: Member) => sleeps(member, value.epoch, rules.absentEpochsMax);
  const served = deciders.filter((member) => !isSuspended(member));
  return {
    able: served.filter((member) => !isAsleep(member)),
    suspended: deciders.filter(isSuspended),
    asleep: served.filter(isAsleep),
    quorum: quorumOf(deciders.length, value.threshold, rules.faultModel),
  };
}

export const enoughAttend = ({ able, quorum }: Attendance): boolean => able.length >= quorum;

/** Why others than the able ones do not count, for people; empty when all are able. */
export function barredInWords({ suspended, asleep }: Pick<Attendance, 'suspended' | 'asleep'>): string {
  const said = (members: readonly Member[], one: string, several: string): string[] =>
    members.length === 0 ? [] : [`${listed(members)} ${members.length === 1 ? one : several}`];
  return [
    ...said(suspended, 'is suspended', 'are suspended'),
    ...said(asleep, 'was away too long', 'were away too long'),
  ].join(', ');
}

const listed = (members: readonly Member[]): string => members.map(({ name }) => name).join(', ');

/** Suspensions that last: those of members that the next roster still lists under the same identity. */
export const lastingSuspensions = (parent: Value, roster: readonly Member[]): Suspension[] =>
  parent.suspended.filter(
    ({ index }) => memberAt(roster, index)?.peer === memberAt(parent.roster, index)?.peer,
  );

/**
 * Refuses a draft of orders that could not be decided, or after which the next change could not: orders never
 * make a group that only a forced eviction can move. Who sleeps after the change is counted at its worst: a
 * member that has attended none of the last `absentEpochsMax` changes falls asleep unless it attends this
 * one, and all such may stay away whom the quorum of this change can spare. A draft that takes suspended
 * members or sleepers out, or gives them their place again, always passes where ordinary changes are decided
 * at all. Throws `bad-order`.
 */
export function checkAttendance(rules: Rules, parent: Value, draft: Next): void {
  const { forced } = draft;
  const deciders = parent.roster.filter(({ index }) => forced === null || forced.includes(index));
  const now = attendanceOf(rules, parent, deciders);
  if (!enoughAttend(now)) {
    const many = `only ${now.able.length} of the ${deciders.length} members`;
    throw new ProtocolError(
      'bad-order',
      forced === null
        ? `${many} may attend a change, which needs ${now.quorum}: ${barredInWords(now)}; those who remain must evict ${listed([...now.suspended, ...now.asleep])} by force`
        : `${many} that would remain may attend, and ${now.quorum} are needed: ${barredInWords(now)}; evict those too`,
    );
  }
  const next = attendanceOf(rules, {
    epoch: parent.epoch,
    roster: draft.roster,
    threshold: draft.threshold,
    suspended: lastingSuspensions(parent, draft.roster),
  });
  const mayFallAsleep = next.able.filter((member) => sleeps(member, parent.epoch + 1, rules.absentEpochsMax));
  const spared = now.able.length - now.quorum;
  const left = next.able.length - Math.min(mayFallAsleep.length, spared);
  if (left >= next.quorum) return;
  const waning = left < next.able.length ? mayFallAsleep : [];
  const whom = [...next.suspended, ...next.asleep, ...waning];
  const why = [barredInWords(next)].filter((words) => words !== '');
  if (waning.length > 0)
    why.push(`${listed(waning)} took part in none of the last ${rules.absentEpochsMax} changes`);
  throw new ProtocolError(
    'bad-order',
    `only ${left} of the ${draft.roster.length} members could attend the next change, which needs ${next.quorum}: ${why.join(', ')}; reinstate or evict ${listed(whom)} first`,
  );
}
