import { Command } from 'commander';
import { explainChoice } from '../../protocol/roster.ts';
import { runOrders, withOrder } from '../orders.ts';
import { CommandError } from '../terminal.ts';

export const evictCommand = (): Command =>
  withOrder(new Command('evict'))
    .description('remove a member: the next epoch deals it nothing')
    .argument('<name>')
    .action(async (name: string, _, command: Command) => {
      await runOrders(
        command,
        async (head) => {
          const member = head.roster.find((listed) => listed.name === name);
          if (member === undefined)
            throw new CommandError('refused', `there is no member named ${name}; see holdfast peers`);
          return [{ type: 'evict', index: member.index }];
        },
        ({ roster, threshold }, { genesis }) =>
          `${name} evicted; ${explainChoice(roster.length, threshold, genesis.faultModel)}`,
      );
    });
