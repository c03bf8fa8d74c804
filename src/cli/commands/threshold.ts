import { Command } from 'commander';
import { explainChoice } from '../../protocol/roster.ts';
import { wholeNumber } from '../context.ts';
import { runOrders, withOrder } from '../orders.ts';
import { CommandError } from '../terminal.ts';

const raiseCommand = (): Command =>
  withOrder(new Command('raise'))
    .description('let more peers be needed to use a key, from the next epoch on')
    .argument('<k>', 'the new threshold', wholeNumber)
    .action(async (threshold: number, _, command: Command) => {
      await runOrders(
        command,
        async (head) => {
          if (threshold <= head.threshold)
            throw new CommandError('refused', `the threshold is ${head.threshold} and can only be raised`);
          if (threshold > head.roster.length)
            throw new CommandError(
              'refused',
              `${head.roster.length} members cannot carry a threshold of ${threshold}; admit more first`,
            );
          return [{ type: 'raise-threshold', threshold }];
        },
        ({ roster }, { genesis }) => explainChoice(roster.length, threshold, genesis.faultModel),
      );
    });

export const thresholdCommand = (): Command =>
  new Command('threshold')
    .description('how many peers must work together to use a key')
    .addCommand(raiseCommand());
