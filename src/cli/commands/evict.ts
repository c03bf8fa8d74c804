import { Command, Option } from 'commander';
import type { Action } from '../../protocol/order.ts';
import { explainChoice, type Member } from '../../protocol/roster.ts';
import type { Value } from '../../protocol/value.ts';
import { optionsOf } from '../context.ts';
import { runOrders, withOrder } from '../orders.ts';
import { CommandError, confirm, warn } from '../terminal.ts';

interface EvictOptions {
  forced: boolean;
  yes: boolean;
}

export const evictCommand = (): Command =>
  withOrder(new Command('evict'))
    .description('remove members: the next epoch deals them nothing')
    .argument('<name...>')
    .option(
      '--forced',
      'when more members are gone for good than a change survives: those who remain decide alone',
      false,
    )
    .addOption(new Option('--yes', 'with --forced: do not ask').default(false))
    .action(async (names: string[], _, command: Command) => {
      const { forced, yes } = optionsOf<EvictOptions>(command);
      await runOrders(
        command,
        async (head): Promise<Action[]> => {
          const leaving = names.map((name) => memberNamed(head, name));
          if (!forced) return leaving.map(({ index }) => ({ type: 'evict', index }));
          const remaining = head.roster.filter((member) => !leaving.includes(member));
          warn(
            `a forced eviction is decided by ${remaining.map(({ name }) => name).join(', ')} alone; if ${names.join(' or ')} still run somewhere with enough others, they are a second group with the same key`,
          );
          if (!yes && !(await confirm(`are ${names.join(', ')} gone for good?`, 'give --yes')))
            throw new CommandError('refused', 'nothing is changed');
          return [{ type: 'force-evict', remaining: remaining.map(({ index }) => index) }];
        },
        ({ roster, threshold }, { genesis }) =>
          `${names.join(', ')} evicted; ${explainChoice(roster.length, threshold, genesis.faultModel)}`,
      );
    });

function memberNamed(head: Value, name: string): Member {
  const member = head.roster.find((listed) => listed.name === name);
  if (member === undefined)
    throw new CommandError('refused', `there is no member named ${name}; see holdfast peers`);
  return member;
}
