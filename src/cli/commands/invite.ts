import { Command, Option } from 'commander';
import { durationText, durationWithin, optionsOf, withDaemon } from '../context.ts';
import { progress, say, sayJson } from '../terminal.ts';

const hourMs = 3_600_000;

export const inviteCommand = (): Command =>
  new Command('invite')
    .description('open the lobby for a while and print the invitation (no secret)')
    .addOption(
      new Option('--for <time>', 'how long newcomers can ask, 7d at most')
        .argParser(durationWithin(1000, 7 * 24 * hourMs))
        .default(hourMs, durationText(hourMs)),
    )
    .action(async (_, command: Command) => {
      const { for: openForMs, json } = optionsOf<{ for: number }>(command);
      const invitation = await withDaemon(command, (daemon) => daemon.invite(openForMs));
      if (json) sayJson({ invitation, openForMs });
      else say(invitation);
      // An earlier invitation may have opened the lobby for longer. Then the daemon keeps it open until that
      // time.
      const until = new Date(Date.now() + openForMs).toISOString().replace(/\.\d+Z$/, 'Z');
      progress(`the lobby is open until ${until} at least (for ${durationText(openForMs)})`);
    });
