import { Command } from 'commander';
import { duration, optionsOf, withDaemon } from '../context.ts';
import { progress, say, sayJson } from '../terminal.ts';

export const inviteCommand = (): Command =>
  new Command('invite')
    .description('open the lobby for a while and print the invitation (no secret)')
    .option('--for <time>', 'how long newcomers can ask', duration, 3_600_000)
    .action(async (_, command: Command) => {
      const { for: openForMs, json } = optionsOf<{ for: number }>(command);
      const invitation = await withDaemon(command, (daemon) => daemon.invite(openForMs));
      if (json) sayJson({ invitation, openForMs });
      else say(invitation);
      progress(`the lobby is open for ${Math.round(openForMs / 60_000)} minutes`);
    });
