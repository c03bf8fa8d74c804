import { Command } from 'commander';
import { optionsOf, withApi } from '../context.ts';
import { faint, say, sayJson, sayTable } from '../terminal.ts';

export const keyListCommand = (): Command =>
  new Command('list').description('the keys that the group keeps').action(async (_, command: Command) => {
    const keys = await withApi(command, (daemon) => daemon.keys());
    if (optionsOf(command).json) return sayJson({ keys });
    if (keys.length === 0)
      return say(faint('none yet; make one with: holdfast key create NAME --use sign|decrypt'));
    sayTable(
      ['name', 'use', 'bits', 'id'],
      keys.map((key) => [key.name, key.use, String(key.bits), key.id]),
    );
  });
