/** Whether the members that are up now can carry what is never undone: a higher threshold, a forced eviction. */
import type { ApiClient } from '../api/client.ts';
import { whyNot } from '../node/views/advice.ts';
import type { Ability } from '../node/views/view.ts';
import type { Genesis } from '../protocol/genesis.ts';
import { holdersNeeded, type Member, quorumOf } from '../protocol/roster.ts';
import type { Value } from '../protocol/value.ts';
import { CommandError } from './terminal.ts';

/**
 * The change that raises the threshold needs the new `k + m` members (protocol §4.3). Throws
 * `CommandError('not-enough-peers')` with the names of those who are missing when fewer are connected.
 */
export async function checkReach(
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
 * A forced eviction is for members that are gone, and a quorum of those who remain must carry it out. Throws
 * `CommandError`: `refused` for a member that is up, `not-enough-peers` with the names of those who are missing.
 */
export async function checkForced(
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
  // With too few others for an ordinary change, a member that was broken into may be up and has to go all the same.
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

/** Who of these cannot take part in a change now, as the daemon knows it. */
async function cannotAttend(daemon: ApiClient, members: readonly Member[]): Promise<Ability[]> {
  const { roster } = await daemon.status();
  return roster.filter(
    ({ index, can }) => can.attend !== 'yes' && members.some((member) => member.index === index),
  );
}
