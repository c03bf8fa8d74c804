import { Command } from 'commander';
import { duration, optionsOf, withDaemon } from '../context.ts';
import { CommandError, say, sayJson } from '../terminal.ts';
import { untilDone } from '../waiting.ts';

interface RefreshOptions {
  wait: boolean;
  timeout?: number;
}

export const refreshCommand = (): Command =>
  new Command('refresh')
    .description('an epoch change now: every share is replaced')
    .option('--wait', 'until the new shares have signed and the old ones are erased', false)
    .option('--timeout <time>', 'with --wait: give up after this time', duration)
    .action(async (_, command: Command) => {
      const { wait, timeout, json } = optionsOf<RefreshOptions>(command);
      await withDaemon(command, async (daemon) => {
        const { epoch: before } = await daemon.status();
        if (before === null)
          throw new CommandError('refused', 'there is no epoch yet; found the cluster with: holdfast admit');
        await daemon.refresh();
        if (!wait) {
          if (json) sayJson({ from: before, done: false });
          else say(`a change from epoch ${before} is asked for; see holdfast status`);
          return;
        }
        const retired = async () => {
          const [newest] = await daemon.epochs(1);
          return newest !== undefined && newest.epoch > before && newest.retired ? newest : null;
        };
        const done = await untilDone(daemon, retired, {
          timeoutMs: timeout,
          begins: `waiting for the epoch after ${before}…`,
          stopped: () => 'stopped waiting; the refresh goes on; see holdfast status',
          late: (missing) => `epoch ${before} is still the newest${missing}; it goes on when they are back`,
        });
        if (json) sayJson({ from: before, epoch: done.epoch, done: true, dealt: done.dealt });
        else
          say(
            `epoch ${done.epoch}: all shares are new, dealt by ${done.dealt.join(', ')}; the old ones are erased`,
          );
      });
    });
