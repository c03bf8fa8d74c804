/** Whether the members that are up now can carry what is never undone: a higher threshold, a forced eviction. */
import type { ApiClient } from '../api/client.ts';
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
  const { isUp } = await membersUp(daemon);
  const missing = missingOf(head.roster, isUp, head);
  const n = head.roster.length;
  const needed = holdersNeeded({ n, k: head.threshold }, { n, k: threshold }, faultModel);
  if (n - missing.length < needed)
    throw new CommandError(
      'not-enough-peers',
      `a threshold of ${threshold} needs ${needed} members that are up, and ${n - missing.length} of ${n} are; missing: ${missing.join(', ')}; start them and raise it again`,
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
  const { isUp, self } = await membersUp(daemon);
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
  const missing = missingOf(staying, isUp, head);
  const n = staying.length;
  const needed = quorumOf(n, head.threshold, faultModel);
  if (n - missing.length < needed)
    throw new CommandError(
      'not-enough-peers',
      `this forced eviction needs ${needed} of the ${n} members that remain, and ${n - missing.length} are up; missing: ${missing.join(', ')}; start them, or evict those too that are gone for good`,
    );
}

/** Whether a member is up, as this daemon sees it: the daemon itself is. */
async function membersUp(daemon: ApiClient): Promise<{ isUp: (member: Member) => boolean; self: string }> {
  const { connected, peer: own, name: self } = await daemon.status();
  return { isUp: ({ name, peer }) => peer === own || connected.includes(name), self };
}

/** Who of these takes no part in a change. */
function missingOf(members: readonly Member[], isUp: (member: Member) => boolean, head: Value): string[] {
  const suspended = new Set(head.suspended.map(({ index }) => index));
  return members
    .filter((member) => suspended.has(member.index) || !isUp(member))
    .map(({ index, name }) => (suspended.has(index) ? `${name} (suspended)` : name));
}
