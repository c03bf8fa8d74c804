/**
 * Peers that wait in the lobby. The operator's commands take them up after each was confirmed by its
 * fingerprint.
 */
import type { ApiClient } from '../client/api-client.ts';
import type { Home } from '../node/home/home.ts';
import type { PeerView } from '../node/views/view.ts';
import { fingerprintOf } from '../protocol/records/admission.ts';
import { fromHex } from '../protocol/records/codec.ts';
import type { Member } from '../protocol/records/roster.ts';
import { CommandError, confirm, progress } from './terminal.ts';

/** A peer that waits for a place in the roster. */
export type Newcomer = Omit<Member, 'index' | 'keyEpoch'>;

/**
 * The newcomers with these names, or all of them when no name is given. The daemon is not trusted: each epoch
 * key is checked against the fingerprint.
 * @throws CommandError `refused` for a name that nobody or more than one newcomer has, and for a false
 * fingerprint
 */
export async function waitingPeers(
  daemon: ApiClient,
  home: Home,
  names: readonly string[],
): Promise<Newcomer[]> {
  const present = (await daemon.peers()).filter((peer) => peer.state === 'waiting' && !peer.self);
  if (names.length === 0) return present.map((peer) => checkedMember(peer, home));
  return names.map((name) => {
    const found = present.filter((peer) => peer.name === name);
    if (found.length === 0)
      throw new CommandError(
        'refused',
        `nobody named ${name} waits in the lobby; holdfast peers shows who does`,
      );
    if (found.length > 1)
      throw new CommandError(
        'refused',
        `${found.length} peers named ${name} wait; all but one must join under another name`,
      );
    return checkedMember(found[0] as PeerView, home);
  });
}

/** Whether a peer waits in the lobby under this name. */
export const isAwaited = async (daemon: ApiClient, name: string): Promise<boolean> =>
  (await daemon.peers()).some((peer) => peer.state === 'waiting' && !peer.self && peer.name === name);

function checkedMember(peer: PeerView, home: Home): Newcomer {
  const epochKey = fromHex(peer.epochKey);
  const fingerprint = fingerprintOf({ cluster: home.cluster, peer: peer.peer, epochKey });
  if (peer.fingerprint !== null && peer.fingerprint !== fingerprint)
    throw new CommandError(
      'refused',
      `the daemon shows a false fingerprint for ${peer.name}; do not trust it`,
    );
  return { name: peer.name, peer: peer.peer, epochKey };
}

/**
 * A person compares every fingerprint. `yes` has the fingerprints that the writer of a script compared.
 * @throws CommandError `refused` for a newcomer that is not confirmed
 */
export async function confirmAll(
  newcomers: readonly Newcomer[],
  home: Home,
  yes: readonly string[] | undefined,
): Promise<void> {
  for (const { name, ...member } of newcomers) {
    const fingerprint = fingerprintOf({ cluster: home.cluster, ...member });
    if (yes !== undefined) {
      if (!yes.includes(fingerprint))
        throw new CommandError(
          'refused',
          `${name} has the fingerprint ${fingerprint}, which is none of those given; nobody was admitted`,
        );
      continue;
    }
    progress(`${name}  ${fingerprint}`);
    if (!(await confirm(`does ${name} show this fingerprint?`, 'give --yes FINGERPRINT…')))
      throw new CommandError('refused', `${name} was not confirmed; nobody was admitted`);
  }
}
