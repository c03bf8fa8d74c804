import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { connectApi } from '../../api/client.ts';
import { SocketError } from '../../api/socket.ts';
import type { Home } from '../../node/home.ts';
import { openHome } from '../../node/home.ts';
import { inspectHome, inspectMachine } from '../../node/home-inspection.ts';
import type { Problem } from '../../node/view.ts';
import { optionsOf } from '../context.ts';
import { bad, CommandError, faint, say, sayJson } from '../terminal.ts';

export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('what would stop the next refresh or signature; scans the home for old shares')
    .action(async (_, command: Command) => {
      const { json, home: dir } = optionsOf(command);
      const home = openHome(dir);
      const problems = [
        ...(await daemonProblems(home)),
        ...inspectHome(home),
        ...inspectMachine(daemonPid(home)),
      ];
      if (json) sayJson({ healthy: problems.length === 0, problems });
      else if (problems.length === 0)
        say('nothing stands in the way of the next refresh or signature; no old record is in this home');
      for (const { what, remedy } of json ? [] : problems) say(`${bad('!')} ${what}\n  ${faint(remedy)}`);
      if (problems.length > 0)
        throw new CommandError(
          'failed',
          `${problems.length} ${problems.length === 1 ? 'thing needs' : 'things need'} attention`,
        );
    });

/** What the daemon itself says is wrong, and shares of more than one epoch while no change is under way. */
async function daemonProblems(home: Home): Promise<Problem[]> {
  const daemon = connectApi(home.socketFile);
  try {
    const status = await daemon.status();
    const old = status.change === null ? status.shareEpochs.filter((epoch) => epoch !== status.epoch) : [];
    const kept = old.map((epoch) => ({
      code: 'old-share',
      what: `The share of epoch ${epoch} is still kept although no change is under way.`,
      remedy: 'Start the daemon again.',
    }));
    return [...status.problems, ...kept];
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    return [
      {
        code: 'not-running',
        what: 'The daemon is not running: this peer counts as absent.',
        remedy: `holdfast start --home ${home.dir}`,
      },
    ];
  } finally {
    await daemon.close();
  }
}

function daemonPid(home: Home): number | null {
  const lock = join(home.storeDir, 'lock');
  if (!existsSync(lock)) return null;
  const holder = z.object({ pid: z.number().int() }).safeParse(jsonOrNull(readFileSync(lock, 'utf8')));
  return holder.success ? holder.data.pid : null;
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // written this very moment
  }
}
