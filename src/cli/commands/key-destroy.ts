import { Command } from 'commander';
import type { ApiClient } from '../../client/api-client.ts';
import type { Value } from '../../protocol/records/value.ts';
import { interruption, optionsOf } from '../context.ts';
import { goneSince } from '../done-already.ts';
import { type Decided, type OrderOptions, runOrder, withOrder } from '../orders.ts';
import { CommandError, confirmTyped } from '../terminal.ts';

/** How long the command waits for the erasure after the decision, in milliseconds. */
const erasureMs = 30_000;

export const keyDestroyCommand = (): Command =>
  withOrder(new Command('destroy'))
    .description('destroy a key for ever: with the next epoch every share of it is erased')
    .argument('<name>')
    .option('--yes <name>', 'the same name again, instead of typing it')
    .action(async (name: string, _, command: Command) => {
      const { yes } = optionsOf<OrderOptions & { yes?: string }>(command);
      await runOrder(
        command,
        async (head, daemon): Promise<Decided> => {
          const there = ({ keys }: Value): boolean => keys.some((key) => key.name === name);
          const gone = there(head) ? null : await goneSince(head, daemon, there);
          if (gone !== null) return gone;
          if (!there(head))
            throw new CommandError('refused', `there is no key named ${name}; see holdfast key list`);
          const instead = `give --yes ${name}`;
          const typed =
            yes ??
            (await confirmTyped(`${name} will be gone for ever. Type its name to destroy it: `, instead));
          if (typed !== name)
            throw new CommandError('refused', `"${typed}" is not ${name}; nothing was destroyed`);
          return [{ type: 'destroy-key', name }];
        },
        async ({ epoch }, _home, daemon) => `key ${name} is destroyed; ${await erasure(daemon, name, epoch)}`,
      );
    });

/** Waits until this peer has erased the older shares, and says which members may still hold one. */
async function erasure(daemon: ApiClient, name: string, epoch: number): Promise<string> {
  const signal = interruption(erasureMs);
  const erased = async () => {
    const newest = (await daemon.epochs(1))[0];
    return newest !== undefined && newest.epoch >= epoch && newest.retired ? true : null;
  };
  const done = await daemon.until(erased, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return false;
  });
  if (!done) return 'its shares are erased once enough peers are ready; see holdfast status';
  const { problems } = await daemon.status();
  const held = problems.find(({ code, what }) => code === 'destroyed-key-held' && what.includes(` ${name} `));
  return held === undefined ? 'every share of it is erased' : `${held.what} ${held.remedy}`;
}
