import { Command } from 'commander';
import type { Action } from '../../protocol/records/order.ts';
import { explainChoice } from '../../protocol/records/roster.ts';
import { optionsOf } from '../context.ts';
import { evictedSince } from '../done-already.ts';
import { checkEviction, checkForcedEviction } from '../feasibility.ts';
import { checkOneChange, sayWhatRemains } from '../one-change.ts';
import { forcedRisk } from '../order-words.ts';
import { type Decided, memberNamed, type OrderOptions, runOrder, withOrder } from '../orders.ts';
import { confirmSpareOf } from '../spare.ts';
import { CommandError, confirmTyped, warn } from '../terminal.ts';

interface EvictOptions extends OrderOptions {
  forced: boolean;
  yes?: string[];
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
    .option(
      '--yes <names...>',
      'yes to these: it leaves none to spare, or, with --forced, they are gone for good; for scripts, which cannot be asked',
    )
    .action(async (named: string[], _, command: Command) => {
      const names = [...new Set(named)];
      const { forced, yes, orderFile } = optionsOf<EvictOptions>(command);
      await runOrder(
        command,
        async (head, daemon, home): Promise<Decided> => {
          const gone = await evictedSince(head, daemon, names);
          if (gone !== null) return gone;
          const leaving = names.map((name) => memberNamed(head, name));
          const instead = 'give --yes NAME…, naming each again';
          if (!forced) {
            const actions = leaving.map(({ index }): Action => ({ type: 'evict', index }));
            const draft = checkOneChange(actions, head, home);
            // Other operators sign the order, and `order submit` checks it when it is handed in.
            if (orderFile === undefined) await checkEviction(actions, { head, daemon, home });
            sayWhatRemains(draft, head, home);
            const agreed = yes !== undefined && names.every((name) => yes.includes(name));
            await confirmSpareOf(actions, head, { daemon, home }, { yes: agreed, instead });
            return actions;
          }
          const remaining = head.roster.filter((member) => !leaving.includes(member));
          const stay = remaining.map(({ index }) => index);
          const actions: Action[] = [{ type: 'force-evict', remaining: stay }];
          const draft = checkOneChange(actions, head, home);
          // Other operators sign the order, and `order submit` checks it when it is handed in.
          if (orderFile === undefined) await checkForcedEviction(stay, head, daemon, home.genesis);
          warn(
            `a forced eviction is decided by ${remaining.map(({ name }) => name).join(', ')} alone; ${forcedRisk(names.join(' or '))}`,
          );
          sayWhatRemains(draft, head, home);
          // The person is asked to type each name below.
          await confirmSpareOf(actions, head, { daemon, home }, { yes: true, instead });
          for (const name of names) await confirmGone(name, yes);
          return actions;
        },
        ({ roster, threshold }, { genesis }) =>
          `${names.join(', ')} evicted; ${explainChoice(roster.length, threshold, genesis.faultModel)}`,
      );
    });

/**
 * Asks for the name itself: a "yes" is given too easily, and nobody types a name by accident.
 * @throws CommandError `refused` for another answer
 */
async function confirmGone(name: string, given: readonly string[] | undefined): Promise<void> {
  if (given?.includes(name)) return;
  const typed =
    given === undefined
      ? await confirmTyped(`type ${name} if it is gone for good: `, 'give --yes NAME…, naming each again')
      : given.join(' ');
  if (typed !== name) throw new CommandError('refused', `"${typed}" is not ${name}; nobody was evicted`);
}
