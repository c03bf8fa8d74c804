/** Whether the members that are up can carry out an order. The command says so before the order is signed. */
import type { ApiClient } from '../client/api-client.ts';
import type { Home } from '../node/home/home.ts';
import { isOut, namesOf, waysToRefresh, whyNot } from '../node/views/advice.ts';
import { type Need, outlookOf, type Scene } from '../node/views/possible-orders.ts';
import { noticeAfterMs } from '../node/views/problems.ts';
import type { Ability } from '../node/views/view.ts';
import type { Genesis } from '../protocol/records/genesis.ts';
import type { Action } from '../protocol/records/order.ts';
import { holdersNeeded, type Member, quorumOf } from '../protocol/records/roster.ts';
import type { Value } from '../protocol/records/value.ts';
import { CommandError, warn } from './terminal.ts';

/**
 * A change that raises the threshold needs the new `k + m` members (protocol §4.3).
 * @throws CommandError `not-enough-peers` with the names of the missing members, when fewer can attend
 */
export async function checkThreshold(
  threshold: number,
  head: Value,
  daemon: ApiClient,
  { faultModel }: Genesis,
): Promise<void> {
  const missing = await cannotAttend(daemon, head.roster);
  const n = head.roster.length;
  const needed = holdersNeeded({ n, k: head.threshold }, { n, k: threshold }, faultModel);
  if (n - missing.length < needed)
    throw new CommandError(
      'not-enough-peers',
      `a threshold of ${threshold} needs ${needed} members that can attend, and ${n - missing.length} of ${n} can; ${whyNot(missing)}; raise it again when they can`,
    );
}

/**
 * A forced eviction is for members that are gone. A quorum of the members that remain must carry it out.
 * @throws CommandError `refused` for a member that is up, `not-enough-peers` with the names of the missing
 * members
 */
export async function checkForcedEviction(
  remaining: readonly number[],
  head: Value,
  daemon: ApiClient,
  { faultModel }: Genesis,
): Promise<void> {
  const { connected, peer: own, name: self } = await daemon.status();
  const isUp = ({ name, peer }: Member): boolean => peer === own || connected.includes(name);
  const stays = ({ index }: Member): boolean => remaining.includes(index);
  const leaving = head.roster.filter((member) => !stays(member) && isUp(member)).map(({ name }) => name);
  const staying = head.roster.filter(stays);
  // When too few others are up for an ordinary change, a member that is up may be evicted too: it may have
  // been broken into.
  const others = staying.filter(isUp).length;
  const ordinary = others >= quorumOf(head.roster.length, head.threshold, faultModel);
  if (leaving.includes(self))
    throw new CommandError('refused', `${self} is the peer that was asked; ask one that remains`);
  if (leaving.length > 0 && ordinary)
    throw new CommandError(
      'refused',
      `${leaving.join(', ')} ${leaving.length === 1 ? 'is up: evict it' : 'are up: evict them'} without --forced`,
    );
  const missing = await cannotAttend(daemon, staying);
  const n = staying.length;
  const needed = quorumOf(n, head.threshold, faultModel);
  if (n - missing.length < needed)
    throw new CommandError(
      'not-enough-peers',
      `this forced eviction needs ${needed} of the ${n} members that remain, and ${n - missing.length} can attend; ${whyNot(missing)}; start them, or evict those too that are gone for good`,
    );
}

/** Those of `members` that cannot take part in a change now, as the daemon knows it. */
async function cannotAttend(daemon: ApiClient, members: readonly Member[]): Promise<Ability[]> {
  const { roster } = await daemon.status();
  return roster.filter(
    ({ index, can }) => can.attend !== 'yes' && members.some((member) => member.index === index),
  );
}

/** The group that an order is for. */
interface Group {
  head: Value;
  daemon: ApiClient;
  home: Pick<Home, 'genesis' | 'cluster'>;
}

/**
 * An eviction that cannot be carried out now would block every other order until it can.
 * @throws CommandError `not-enough-peers` with what helps
 */
export async function checkEviction(actions: readonly Action[], group: Group): Promise<void> {
  const short = await shortageOf(actions, group);
  if (short !== null) throw new CommandError('not-enough-peers', short);
}

/** Warns of an order that will wait for members. */
export async function warnOfWaiting(actions: readonly Action[], group: Group): Promise<void> {
  const short = await shortageOf(actions, group);
  if (short !== null) warn(`this will wait: ${short}`);
}

/** The line about the pending order that keeps another one with its number out. */
export async function pendingInWords(sequence: number, group: Group): Promise<string> {
  const pending = `order ${sequence} is pending`;
  const short = await shortageNow([], group);
  if (short !== null) return `${pending} and waits: ${short.words}; nothing was handed in`;
  const { change } = await group.daemon.status();
  const awaited =
    change === null || change.missing.length === 0 ? '' : ` (missing: ${change.missing.join(', ')})`;
  return `${pending}, and enough members can attend its change${awaited}; nothing was handed in: run this again when holdfast status shows no change`;
}

interface Shortage {
  words: string;
  /** Some members are connected and have not proven their epoch keys. They may do so soon. */
  unproven: boolean;
}

/**
 * How long a busy machine may take to prove its connections anew after a start or a change, in milliseconds.
 */
const provingMs = 10_000;

/**
 * Why the group cannot carry out these actions now, and what helps. Null when it can, and when nobody knows.
 */
async function shortageOf(actions: readonly Action[], group: Group): Promise<string | null> {
  let short = await shortageNow(actions, group);
  if (short === null) return null;
  const signal = AbortSignal.timeout(short.unproven ? provingMs : noticeAfterMs);
  const passes = async () => {
    short = await shortageNow(actions, group);
    return short === null ? true : null;
  };
  await group.daemon.until(passes, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return short?.words ?? null;
}

async function shortageNow(
  actions: readonly Action[],
  { head, daemon, home: { genesis, cluster } }: Group,
): Promise<Shortage | null> {
  const { roster: members } = await daemon.status();
  const scene: Scene = { genesis, clusterId: cluster, head, members, forced: null };
  const lacks = outlookOf(scene, actions).needs.find(({ can }) => can === 'no');
  if (lacks === undefined) return null;
  return {
    words: `${inWords(lacks)}${stepsInWords(scene, lacks)}`,
    unproven: lacks.lacking.some(({ barred }) => barred === 'unproven'),
  };
}

function inWords({ what, of, needed, able, lacking }: Need): string {
  const n = of.length;
  const words = {
    decide: `${needed} of ${n} members must attend this change and ${able} can`,
    recover: `${needed} of ${n} members must hold their shares for this change and ${able} can be asked for them`,
    hold: `${needed} of the ${n} members that stay must attend this change and ${able} can`,
  };
  return `${words[what]}; ${whyNot(lacking)}`;
}

/** The steps that help: to start members, or a forced eviction that could be carried out. */
function stepsInWords(scene: Scene, { lacking }: Need): string {
  const { start, force } = waysToRefresh(scene);
  const these = (members: readonly Ability[], one: string, several: string): string =>
    members.length !== lacking.length || members.some((member) => !lacking.includes(member))
      ? namesOf(members)
      : members.length === 1
        ? one
        : several;
  const begin = start.length === 0 ? '' : `start ${these(start, 'it', 'them')}`;
  const evict = `holdfast evict ${namesOf(force).replaceAll(',', '')} --forced`;
  const gone = `if ${these(force, 'it', 'they')} ${force.length === 1 ? 'is' : 'are'} gone for good: ${evict}`;
  const forced = force.length === 0 ? '' : force.every(isOut) ? `waiting does not help: ${evict}` : gone;
  const steps = [begin, forced].filter((step) => step !== '').join(', or, ');
  if (steps === '') return '; holdfast status says what is wrong';
  return begin === '' ? `; ${steps}` : `: ${steps}`;
}
