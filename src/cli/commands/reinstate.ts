import { Command } from 'commander';
import { explainChoice, quorumOf } from '../../protocol/roster.ts';
import { optionsOf } from '../context.ts';
import { confirmAll, type Newcomer, waitingPeers } from '../newcomers.ts';
import { memberNamed, runOrder, withOrder } from '../orders.ts';
import { warn } from '../terminal.ts';

export const reinstateCommand = (): Command =>
  withOrder(new Command('reinstate'))
    .description('give a suspended, lost or long absent member its place again; it waits with a new home')
    .argument('<name>', 'the member; its new home has joined under the same name')
    .option('--yes <fingerprint>', 'this fingerprint is right: for scripts, which cannot be asked')
    .action(async (name: string, _, command: Command) => {
      const { yes } = optionsOf<{ yes?: string }>(command);
      await runOrder(
        command,
        async (head, daemon, home) => {
          const { index } = memberNamed(head, name);
          const newcomers = await waitingPeers(daemon, home, [name]);
          await confirmAll(newcomers, home, yes === undefined ? undefined : [yes]);
          const { roster, threshold } = head;
          if (quorumOf(roster.length, threshold, home.genesis.faultModel) === roster.length)
            warn(
              `this change needs all ${roster.length} members, the old ${name} too; if that one is gone for good: holdfast evict ${name} --forced, then holdfast admit ${name}`,
            );
          const { peer, epochKey } = newcomers[0] as Newcomer;
          return [{ type: 'reinstate', index, peer, epochKey }];
        },
        ({ roster, threshold }, { genesis }) =>
          `${name} has its place again; ${explainChoice(roster.length, threshold, genesis.faultModel)}`,
      );
    });
