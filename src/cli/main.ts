/**
 * The command line: one file for each command. `context.ts` and `terminal.ts` have the parts that all
 * commands share.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { admitCommand } from './commands/admit.ts';
import { auditCommand } from './commands/audit.ts';
import { clientCommand } from './commands/client.ts';
import { clusterInitCommand } from './commands/cluster-init.ts';
import { decryptCommand } from './commands/decrypt.ts';
import { doctorCommand } from './commands/doctor.ts';
import { epochsCommand } from './commands/epochs.ts';
import { evictCommand } from './commands/evict.ts';
import { inviteCommand } from './commands/invite.ts';
import { joinCommand } from './commands/join.ts';
import { keyCreateCommand } from './commands/key-create.ts';
import { keyDestroyCommand } from './commands/key-destroy.ts';
import { keyImportCommand } from './commands/key-import.ts';
import { keyListCommand } from './commands/key-list.ts';
import { keyPublicCommand } from './commands/key-public.ts';
import { labCommand } from './commands/lab.ts';
import { orderCommand } from './commands/order.ts';
import { peersCommand } from './commands/peers.ts';
import { refreshCommand } from './commands/refresh.ts';
import { reinstateCommand } from './commands/reinstate.ts';
import { signCommand } from './commands/sign.ts';
import { startCommand } from './commands/start.ts';
import { statusCommand } from './commands/status.ts';
import { thresholdCommand } from './commands/threshold.ts';
import { verifyCommand } from './commands/verify.ts';
import { globalOptions, nameOf } from './context.ts';
import { protectMemory } from './own-memory.ts';
import { runCommand, usageOutput } from './terminal.ts';

/** `package.json` lies two folders above this file, in a checkout and in a package. */
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

protectMemory();
const program = new Command('holdfast').description(
  'Keeps an RSA key alive for years on a group of peers, without any machine ever holding it after setup.',
);
program.version(version, '--version', 'which version this is');
for (const option of globalOptions()) program.addOption(option);
program.addHelpText(
  'after',
  '\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not enough peers answered, 5 the daemon is not running.',
);

const commands = [
  new Command('cluster').description('make a cluster').addCommand(clusterInitCommand()),
  inviteCommand(),
  joinCommand(),
  startCommand(),
  peersCommand(),
  admitCommand(),
  evictCommand(),
  reinstateCommand(),
  thresholdCommand(),
  statusCommand(),
  refreshCommand(),
  epochsCommand(),
  doctorCommand(),
  auditCommand(),
  new Command('key')
    .description('the keys that the group keeps')
    .addCommand(keyCreateCommand())
    .addCommand(keyImportCommand())
    .addCommand(keyListCommand())
    .addCommand(keyPublicCommand())
    .addCommand(keyDestroyCommand()),
  clientCommand(),
  signCommand(),
  decryptCommand(),
  verifyCommand(),
  orderCommand(),
  labCommand(),
];
for (const command of commands) program.addCommand(command);

/** Commander passes these settings on only to subcommands that `.command()` makes. */
function settle(command: Command): void {
  command
    .exitOverride()
    .configureOutput(usageOutput(nameOf(command)))
    .configureHelp({ showGlobalOptions: true });
  for (const inner of command.commands) settle(inner as Command);
}
settle(program);

await runCommand(() => program.parseAsync());
