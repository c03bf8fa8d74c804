/** `holdfast audit`: shows the lines of the peer's audit log, or checks that they are all there. */
import { watch } from 'node:fs';
import { Command } from 'commander';
import { type AuditLine, auditLineVersion, parseLine } from '../../node/audit/entry.ts';
import { AuditFollower } from '../../node/audit/follower.ts';
import { type Home, openHome } from '../../node/home/home.ts';
import { auditReport } from '../audit-report.ts';
import { interruption, optionsOf, wholeNumber } from '../context.ts';
import { CommandError, faint, say, sayJson } from '../terminal.ts';

interface AuditOptions {
  follow: boolean;
  verify: boolean;
  last: number;
}

export const auditCommand = (): Command =>
  new Command('audit')
    .description('who asked this peer for what, and what it did: the newest lines of its audit log')
    .option('--last <n>', 'how many lines; 0: all', wholeNumber, 100)
    .option('--follow', 'and every new line, until interrupted', false)
    .option('--verify', 'instead: whether a line was changed, removed, reordered or cut off', false)
    .addHelpText(
      'after',
      '\nWith --json the lines are one document, {"lines": […]}; with --follow --json each is a document of its own, as it stands in the log.',
    )
    .action(async (_, command: Command) => {
      const options = optionsOf<AuditOptions>(command);
      const home = openHome(options.home);
      if (options.verify) return verify(home, options.json);
      const follower = new AuditFollower(home.auditDir);
      const all = follower.next();
      const lines = options.last === 0 ? all : all.slice(-options.last);
      if (options.json && !options.follow) return sayJson({ lines: lines.map(documentOf) });
      const show = (text: string): void => {
        const line = parseLine(text);
        if (options.json || line === null) say(text);
        else say(`${faint(line.at)}  ${inWords(line)}`);
      };
      for (const text of lines) show(text);
      if (options.follow) await follow(home, follower, show);
    });

/** A line as JSON. A line that Holdfast did not write stays text. */
const documentOf = (text: string): unknown => parseLine(text) ?? text;

async function verify(home: Home, json: boolean): Promise<void> {
  const { files, first, last, findings, endKnown } = await auditReport(home);
  if (json) sayJson({ whole: findings.length === 0, endKnown, files, first, last, findings });
  else {
    for (const finding of findings) say(finding);
    if (findings.length === 0 && last === null) say('nothing was written yet');
    else if (findings.length === 0)
      say(`lines ${first} to ${last} in ${files} ${files === 1 ? 'file' : 'files'} are whole`);
    if (!endKnown)
      say(
        'the daemon does not run: whether lines are missing at the beginning or the end, it says when it starts',
      );
  }
  if (findings.length > 0) throw new CommandError('failed', 'the audit log was changed');
}

/** Shows new lines when the system reports a change of the folder. */
async function follow(home: Home, follower: AuditFollower, show: (text: string) => void): Promise<void> {
  const signal = interruption();
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      for (const text of follower.next()) show(text);
    };
    const watcher = watch(home.auditDir, look);
    watcher.on('error', reject);
    signal.addEventListener('abort', () => {
      watcher.close();
      resolve();
    });
    // Lines may have been written between the first reading and the watch.
    look();
  });
}

/** One line for people. */
function inWords(line: AuditLine): string {
  const text = (name: string): string => String(line[name] ?? '?');
  const who = text('clientName') === '?' ? `client ${text('client').slice(0, 16)}…` : text('clientName');
  const key = text('keyName') === '?' ? `key ${text('key').slice(0, 16)}…` : text('keyName');
  const scheme = line.scheme === null ? '' : ` ${text('scheme')} ${text('hash')}`;
  const what = `${text('operation')} with ${key}${scheme} ${text('digest').slice(0, 16)}…`;
  const refusal = line.code === null ? '' : ` (${text('code')})`;
  if (line.v > auditLineVersion)
    return `of version ${line.v}, which this Holdfast does not know: ${JSON.stringify(line)}`;
  switch (line.event) {
    case 'start':
      return `the daemon starts, process ${text('pid')}`;
    case 'stop':
      return 'the daemon stops';
    case 'use':
      return line.outcome === 'answered'
        ? `${who}: ${what}: answered in epoch ${text('epoch')} by ${(line.signers as string[]).join(', ')}`
        : `${who}: ${what}: ${text('outcome')}${refusal}`;
    case 'partial':
      return `${who} through ${text('from')}: ${what}: partial of epoch ${text('epoch')} ${text('outcome')}${refusal}`;
    case 'repeated':
      return `${text('count')} more like this since ${text('since')}: ${text('what')} for ${text('from')} ${text('outcome')}${refusal}`;
    case 'order':
      return `order ${text('sequence')}, ${(line.actions as string[]).join(', ')}, from the ${text('by')}: ${text('outcome')}${refusal}`;
    case 'epoch':
      return `epoch ${text('epoch')} is ${text('phase')}`;
    case 'two-machines': {
      const what = line.what as string[];
      return what.length === 0 ? 'every member runs on one machine again' : what.join(' ');
    }
    case 'clock':
      return `the clock of this machine jumped by ${text('stepMs')} ms`;
    case 'torn':
      return `a crash left ${text('bytes')} bytes of a line that nobody was told of`;
    case 'damaged':
      return `this log was changed: ${text('what')}`;
    case 'pruned':
      return `${text('file')} was removed as configured: lines ${text('first')} to ${text('last')}`;
    case 'missed':
      return `${text('count')} lines could not be written: ${text('why')}`;
    default:
      return JSON.stringify(line);
  }
}
