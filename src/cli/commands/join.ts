import { resolve } from 'node:path';
import { Command } from 'commander';
import { parseInvitation } from '../../protocol/admission.ts';
import { hex } from '../../protocol/codec.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { clusterIdOf } from '../../protocol/genesis.ts';
import { optionsOf } from '../context.ts';
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
      progress(`next: holdfast start --home ${options.home}; then tell the operator this fingerprint, for: holdfast admit ${options.name}`);
    });

function readInvitation(text: string) {
  try {
    return parseInvitation(text);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new CommandError('refused', 'this is not a whole invitation; copy all of what holdfast invite prints');
  }
}
