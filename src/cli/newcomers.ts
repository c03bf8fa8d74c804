/** Peers that wait in the lobby, as the operator's commands take them up: each confirmed by its fingerprint. */
import type { ApiClient } from '../client/api-client.ts';
import type { Home } from '../node/home/home.ts';
import type { PeerView } from '../node/views/view.ts';
import { fingerprintOf } from '../protocol/records/admission.ts';
import { fromHex } from '../protocol/records/codec.ts';
import type { Member } from '../protocol/records/roster.ts';
import { CommandError, confirm, progress } from './terminal.ts';

export type Newcomer = Omit<Member, 'index' | 'keyEpoch'>;

/** The newcomers of these names (all, for none), each with the epoch key that its fingerprint really covers. */
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

/** Whether somebody waits in the lobby under this name. */
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

/** Every fingerprint is compared by a person, or was by the one who wrote the script. */
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
