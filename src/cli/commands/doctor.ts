import { Command } from 'commander';
import { inspectHome, inspectMachine } from '../../node/daemon/home-inspection.ts';
import { type Home, openHome } from '../../node/home/home.ts';
import { lockHolder } from '../../node/store/lock.ts';
import type { Problem, StatusView } from '../../node/views/view.ts';
import { auditReport } from '../audit-report.ts';
import { ifRunning, optionsOf } from '../context.ts';
import { bad, CommandError, doubtful, faint, say, sayJson } from '../terminal.ts';

export const doctorCommand = (): Command =>
  new Command('doctor')
    .description('what would stop the next refresh or signature; scans the home for old shares')
    .action(async (_, command: Command) => {
      const { json, home: dir } = optionsOf(command);
      const home = openHome(dir);
      const { problems: ofDaemon, warnings } = await daemonProblems(home);
      const stopped = ofDaemon.some(({ code }) => code === 'not-running');
      // A stopped daemon may have left a lock. The process id in it may belong to another process now.
      const pid = (stopped ? null : lockHolder(home.storeDir)) ?? process.pid;
      const problems = [
        ...ofDaemon,
        ...(await auditProblems(home)),
        ...inspectHome(home),
        ...inspectMachine(pid),
      ];
      if (json) sayJson({ healthy: problems.length === 0, problems, warnings });
      else if (problems.length === 0)
        say('nothing stands in the way of the next refresh or signature; no old record is in this home');
      for (const { what, remedy } of json ? [] : problems) say(`${bad('!')} ${what}\n  ${faint(remedy)}`);
      for (const { what, remedy } of json ? [] : warnings)
        say(`${doubtful('~')} ${what}\n  ${faint(remedy)}`);
      if (problems.length > 0)
        throw new CommandError(
          'failed',
          `${problems.length} ${problems.length === 1 ? 'thing needs' : 'things need'} attention`,
        );
    });

/** A start erases nothing. Retire erases everything that is older. */
const nextChangeErases = 'holdfast refresh: the next change erases everything older.';

/** The kinds of leftovers in words. */
const leftoverNames: Record<StatusView['leftovers'][number]['kind'], string> = {
  attended: 'one-time sealing keys',
  dealt: 'coefficients of own dealings',
  subShares: 'numbers dealt to this peer',
  epochSecrets: 'secrets of superseded epoch keys',
};

/** The problems and warnings of the daemon, and the secrets of past epochs that it still keeps. */
async function daemonProblems(home: Home): Promise<Pick<StatusView, 'problems' | 'warnings'>> {
  const status = await ifRunning(home, (daemon) => daemon.status());
  if (status === null)
    return {
      problems: [
        {
          code: 'not-running',
          what: 'The daemon is not running: this peer counts as absent.',
          remedy: `holdfast start --home ${home.dir}`,
        },
      ],
      warnings: [],
    };
  const old = status.change === null ? status.shareEpochs.filter((epoch) => epoch !== status.epoch) : [];
  const kept = old.map((epoch) => ({
    code: 'old-share',
    what: `The share of epoch ${epoch} is still kept although no change is under way.`,
    remedy: nextChangeErases,
  }));
  const left = status.leftovers.map(({ kind, count }) => ({
    code: 'old-secret',
    what: `Of epochs that are over this peer still keeps: ${leftoverNames[kind]} (${count} in ${kind}).`,
    remedy:
      status.state === 'evicted'
        ? `Stop the daemon and remove ${home.dir}: this peer was evicted.`
        : nextChangeErases,
  }));
  return { problems: [...status.problems, ...kept, ...left], warnings: status.warnings };
}

async function auditProblems(home: Home): Promise<Problem[]> {
  const { findings } = await auditReport(home);
  return findings.slice(0, 3).map((finding) => ({
    code: 'audit-damaged',
    what: `The audit log was changed: ${finding}.`,
    remedy: 'Look who could change it; holdfast audit --verify shows everything.',
  }));
}
