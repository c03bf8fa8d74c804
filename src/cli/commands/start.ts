import { Command, Option } from 'commander';
import { claimSocket } from '../../api/socket.ts';
import { openHome } from '../../node/home.ts';
import { optionsOf } from '../context.ts';
import { progress, say } from '../terminal.ts';

export const startCommand = (): Command =>
  new Command('start')
    .description('run the daemon; prints "ready" with its peer id when it serves')
    .addOption(
      new Option('--while-stdin-open', 'stop when standard input ends: for the lab')
        .default(false)
        .hideHelp(),
    )
    .action(async (_, command: Command) => {
      const options = optionsOf<{ whileStdinOpen: boolean }>(command);
      const home = openHome(options.home);
      const settings = home.readSettings();
      await claimSocket(home.socketFile);
      const stopped = stopSignal(options.whileStdinOpen);
      // The network, the server and all that hangs on them are loaded by this command only: the others stay quick.
      const { serveApi } = await import('../../api/server.ts');
      const { createLog } = await import('../../node/log.ts');
      const { startDaemon } = await import('../../node/daemon.ts');
      const log = createLog({ level: settings.logLevel, pretty: process.stderr.isTTY });
      const daemon = await startDaemon({ home, settings, log });
      try {
        const api = await serveApi({ daemon, socketFile: home.socketFile, log });
        say(`ready ${daemon.peer}`);
        const reason = await Promise.race([stopped, daemon.failed]);
        if (typeof reason === 'string') progress(`stopping: ${reason}`);
        await api.close();
        if (reason instanceof Error) throw reason;
      } finally {
        await daemon.stop();
        // An open pipe there would keep the process alive.
        if (options.whileStdinOpen) process.stdin.destroy();
      }
    });

/** Resolves with the reason to stop. A second signal ends the process at once: nothing durable depends on a clean stop. */
function stopSignal(whileStdinOpen: boolean): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
    if (whileStdinOpen) process.stdin.once('end', () => resolve('standard input ended')).resume();
  });
}
