import { Command, Option } from 'commander';
import { claimSocket } from '../../api/socket.ts';
import { tcpDoorOf } from '../../api/tcp-door.ts';
import { foreignFiles, wideFiles } from '../../node/daemon/home-inspection.ts';
import { type Home, openHome } from '../../node/home/home.ts';
import { optionsOf } from '../context.ts';
import { CommandError, progress, say, sayJsonLine } from '../terminal.ts';

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
      checkAccess(home);
      const settings = home.readSettings();
      const tcp = tcpDoorOf(settings, home.dir);
      await claimSocket(home.socketFile);
      const stopped = stopSignal(options.whileStdinOpen);
      // Only this command loads the network and the server, so the other commands stay quick.
      const { serveApi } = await import('../../api/server.ts');
      const { createLog } = await import('../../node/log.ts');
      const { startDaemon } = await import('../../node/daemon/daemon.ts');
      const log = createLog({ level: settings.logLevel, pretty: process.stderr.isTTY });
      const daemon = await startDaemon({ home, settings, log });
      try {
        const api = await serveApi({ daemon, socketFile: home.socketFile, tcp, log });
        if (api.tcpUrl !== null) progress(`the API listens on ${api.tcpUrl}`);
        if (options.json) sayJsonLine({ ready: true, peer: daemon.peer, api: api.tcpUrl });
        else say(`ready ${daemon.peer}`);
        const reason = await Promise.race([stopped, daemon.failed]);
        if (typeof reason === 'string') progress(`stopping: ${reason}`);
        await api.close();
        if (reason instanceof Error) throw reason;
      } finally {
        await daemon.stop();
        // An open pipe at standard input would keep the process alive.
        if (options.whileStdinOpen) process.stdin.destroy();
      }
    });

function checkAccess({ dir }: Home): void {
  const [wide] = wideFiles(dir);
  // `chmod -R` does not follow a link from the home to a file elsewhere.
  const from = wide?.startsWith(`${dir}/`) ? dir : wide;
  if (wide !== undefined)
    throw new CommandError('failed', `others on this machine may read ${wide}; run: chmod -R go= ${from}`);
  const [foreign] = foreignFiles(dir);
  if (foreign !== undefined)
    throw new CommandError(
      'failed',
      `${foreign} belongs to another user, who can read and change it; look what it is, and who starts this daemon`,
    );
}

/**
 * Resolves with the reason to stop. A second signal ends the process at once, because nothing durable depends
 * on a clean stop.
 */
function stopSignal(whileStdinOpen: boolean): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
    if (whileStdinOpen) process.stdin.once('end', () => resolve('standard input ended')).resume();
  });
}
