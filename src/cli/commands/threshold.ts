import { Command } from 'commander';
import type { Action } from '../../protocol/records/order.ts';
import { explainChoice } from '../../protocol/records/roster.ts';
import { optionsOf, wholeNumber } from '../context.ts';
import { raisedSince } from '../done-already.ts';
import { checkThreshold } from '../feasibility.ts';
import { checkOneChange, sayWhatRemains } from '../one-change.ts';
import { type Decided, type OrderOptions, runOrder, withOrder } from '../orders.ts';
import { confirmSpareOf } from '../spare.ts';
import { CommandError, confirm } from '../terminal.ts';

const raiseCommand = (): Command =>
  withOrder(new Command('raise'))
    .description('let more peers be needed to use a key, from the next epoch on')
    .argument('<k>', 'the new threshold', wholeNumber)
    .option('--yes', 'do not ask', false)
    .action(async (threshold: number, _, command: Command) => {
      const { yes, orderFile } = optionsOf<OrderOptions & { yes: boolean }>(command);
      await runOrder(
        command,
        async (head, daemon, home): Promise<Decided> => {
          if (threshold === head.threshold) return raisedSince(head, daemon, home);
          if (threshold < head.threshold)
            throw new CommandError('refused', `the threshold is ${head.threshold} and can only be raised`);
          if (threshold > head.roster.length)
            throw new CommandError(
              'refused',
              `${head.roster.length} members cannot carry a threshold of ${threshold}; admit more first`,
            );
          const actions: Action[] = [{ type: 'raise-threshold', threshold }];
          const draft = checkOneChange(actions, head, home);
          // Other operators sign the order, and `order submit` checks it when it is handed in.
          if (orderFile === undefined) await checkThreshold(threshold, head, daemon, home.genesis);
          sayWhatRemains(draft, head, home);
          // The next question is asked in any case.
          await confirmSpareOf(actions, head, { daemon, home }, { yes: true, instead: '--yes' });
          if (!yes && !(await confirm('raise it? It can never be lowered again', 'give --yes')))
            throw new CommandError('refused', 'nothing is changed');
          return actions;
        },
        ({ roster }, { genesis }) => explainChoice(roster.length, threshold, genesis.faultModel),
      );
    });

export const thresholdCommand = (): Command =>
  new Command('threshold')
    .description('how many peers must work together to use a key')
    .addCommand(raiseCommand());
