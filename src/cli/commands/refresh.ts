import { Command } from 'commander';
import { duration, interruption, optionsOf, withDaemon } from '../context.ts';
import { CommandError, progress, say, sayJson } from '../terminal.ts';

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
        progress(`waiting for the epoch after ${before}…`);
        const signal = interruption(timeout);
        const retired = async () => {
          const [newest] = await daemon.epochs(1);
          return newest !== undefined && newest.epoch > before && newest.retired ? newest : null;
        };
        const done = await daemon.until(retired, signal).catch(async (error: unknown) => {
          if (!signal.aborted) throw error;
          const { change, members, connected } = await daemon.status();
          const missing =
            change === null || change.missing.length === 0
              ? `${members - 1 - connected.length} not connected`
              : change.missing.join(', ');
          throw new CommandError(
            'not-enough-peers',
            `epoch ${before} is still the newest; missing: ${missing}; it goes on when they are back`,
          );
        });
        if (json) sayJson({ from: before, epoch: done.epoch, done: true, dealt: done.dealt });
        else
          say(
            `epoch ${done.epoch}: all shares are new, dealt by ${done.dealt.join(', ')}; the old ones are erased`,
          );
      });
    });
