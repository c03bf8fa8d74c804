import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { openHome } from '../../node/home/home.ts';
import { type Invitation, parseInvitation } from '../../protocol/records/admission.ts';
import { hex, sameBytes } from '../../protocol/records/codec.ts';
import { isOfOtherVersion, ProtocolError } from '../../protocol/records/errors.ts';
import { clusterIdOf } from '../../protocol/records/genesis.ts';
import { optionsOf } from '../context.ts';
import { warnOfFaultModel } from '../fault-model.ts';
import { createPeer, defaultPeerName, type PeerOptions, withPeerOptions } from '../peer-options.ts';
import { CommandError, progress, say, sayJson, strong } from '../terminal.ts';

export const joinCommand = (): Command =>
  withPeerOptions(new Command('join'))
    .description('make a new peer that asks for admission to the invitation’s cluster')
    .argument('<invitation>', 'what cluster init or invite printed')
    .option('--name <name>', "this peer's name", defaultPeerName())
    .action(async (text: string, _, command: Command) => {
      const options = optionsOf<PeerOptions & { name: string }>(command);
      const invitation = readInvitation(text);
      refuseOtherHome(options.home, invitation);
      warnOfFaultModel(invitation.genesis);
      const { peer, fingerprint } = await createPeer({
        dir: resolve(options.home),
        name: options.name,
        settings: options,
        invitationFor: () => invitation,
      });
      const cluster = hex(clusterIdOf(invitation.genesis));
      if (options.json) {
        sayJson({ name: options.name, peer, fingerprint, cluster });
        return;
      }
      say(`${strong(fingerprint)}  ${options.name}`);
      progress(`cluster ${invitation.genesis.name} (${cluster.slice(0, 16)}…) is pinned in ${options.home}`);
      progress(
        `next: holdfast start --home ${options.home}; then tell the operator this fingerprint, for: holdfast admit ${options.name}`,
      );
    });

function readInvitation(text: string) {
  try {
    return parseInvitation(text);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    if (isOfOtherVersion(error)) throw new CommandError('failed', error.message);
    throw new CommandError(
      'refused',
      'this is not a whole invitation; copy all of what holdfast invite prints',
    );
  }
}

/**
 * A home belongs to one cluster for ever. Throws `CommandError('refused')` when the folder is a home already.
 */
function refuseOtherHome(dir: string, invitation: Invitation): void {
  if (!existsSync(join(dir, 'invitation'))) return;
  const { genesis, cluster } = openHome(dir);
  const same = sameBytes(cluster, clusterIdOf(invitation.genesis));
  const what = same ? 'this invitation’s cluster already' : `another cluster, ${genesis.name}`;
  throw new CommandError('refused', `${dir} belongs to ${what}; choose a new --home`);
}
