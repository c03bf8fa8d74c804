import { Command } from 'commander';
import { foremostCodes } from '../../node/views/problems.ts';
import type { Problem, Prospect, StatusView } from '../../node/views/view.ts';
import { interruption, optionsOf, withApi } from '../context.ts';
import { pauseInWords } from '../pause-words.ts';
import { bad, doubtful, faint, say, sayJson, sayJsonLine, strong } from '../terminal.ts';

export const statusCommand = (): Command =>
  new Command('status')
    .description('epoch, who holds it, who is connected, last and next refresh, what is wrong and what to do')
    .option('--watch', 'again after every change, until interrupted', false)
    .addHelpText('after', '\nWith --watch --json each status is one JSON document in a line of its own.')
    .action(async (_, command: Command) => {
      const { watch, json } = optionsOf<{ watch: boolean }>(command);
      await withApi(command, async (daemon) => {
        const show = async (): Promise<null> => {
          const status = await daemon.status();
          if (json) (watch ? sayJsonLine : sayJson)(status);
          else showStatus(status, Date.now());
          return null;
        };
        if (!watch) return show();
        const signal = interruption();
        await daemon.until(show, signal).catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
      });
    });

function showStatus(status: StatusView, nowMs: number): void {
  const { change } = status;
  const isForemost = ({ code }: Problem): boolean => foremostCodes.includes(code);
  for (const problem of status.problems.filter(isForemost)) sayProblem(problem);
  const row = (label: string, text: string): void => say(`${faint(label.padEnd(13))}${text}`);
  say(
    `${strong(status.name)}  ${status.state === 'member' ? `member ${status.index ?? '?'} of ${status.clusterName}` : status.state === 'evicted' ? `evicted from ${status.clusterName}` : `waiting for admission to ${status.clusterName}`}`,
  );
  row(
    'epoch',
    status.epoch === null
      ? 'none yet'
      : `${status.epoch}, share held of ${status.shareEpochs.length === 0 ? 'none' : status.shareEpochs.join(', ')}`,
  );
  if (status.state === 'member' && status.epoch !== 0)
    row(
      'held by',
      `${status.holders.length} of ${status.members}${status.holders.length > 0 ? `: ${status.holders.join(', ')}` : ''}`,
    );
  if (status.choice !== null) row('group', status.choice);
  row(
    'connected',
    `${status.connected.length} of ${Math.max(0, status.members - 1)} others${status.connected.length > 0 ? `: ${status.connected.join(', ')}` : ''}`,
  );
  if (status.prospects !== null) {
    row('signing', ofThem(status.prospects.sign, status.members));
    row('refreshing', ofThem(status.prospects.refresh, status.members));
  }
  row('keys', String(status.keys));
  row('cipher', status.gate > 0 ? `${status.cipher}, gate ${status.gate}` : status.cipher);
  if (status.fingerprint !== null) row('fingerprint', status.fingerprint);
  if (status.lastChangeAtMs !== null) row('last change', `${ago(nowMs - status.lastChangeAtMs)} ago`);
  if (status.nextRefreshAtMs !== null)
    row(
      'next refresh',
      status.nextRefreshAtMs <= nowMs ? 'due' : `in ${ago(status.nextRefreshAtMs - nowMs)}`,
    );
  if (change !== null) {
    const round = change.round === null ? '' : `, round ${change.round}`;
    const missing = change.missing.length === 0 ? '' : `, missing: ${change.missing.join(', ')}`;
    row(
      'now',
      `${change.phase} for epoch ${change.epoch}${round}; ${change.attending.length} take part, ${change.needed} needed${missing}`,
    );
  }
  for (const pause of status.pauses) row('recovery', pauseInWords(pause));
  for (const problem of status.problems) if (!isForemost(problem)) sayProblem(problem);
  for (const { what, remedy } of status.warnings) say(`${doubtful('~')} ${what} ${remedy}`);
}

const sayProblem = ({ what, remedy }: Problem): void => say(`${bad('!')} ${what} ${remedy}`);

/** How many members can do something together, how many must, and how many are to spare. */
function ofThem({ can, able, needed, spare }: Prospect, members: number): string {
  const told = `${able} of ${members} can, ${needed} needed`;
  return can === 'yes'
    ? `${told}, ${spare} to spare`
    : can === 'no'
      ? `${told}: impossible`
      : `${told}: not known yet`;
}

function ago(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
