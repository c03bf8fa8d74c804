import { Command } from 'commander';
import { doorLimits } from '../../api/limits.ts';
import { blameInWords } from '../../node/views/blame-views.ts';
import type { EpochView, PauseView } from '../../node/views/view.ts';
import { optionsOf, wholeNumber, withApi } from '../context.ts';
import { pauseInWords } from '../pause-words.ts';
import { CommandError, faint, say, sayJson, sayTable, strong } from '../terminal.ts';

export const epochsCommand = (): Command =>
  new Command('epochs')
    .description('history: whose dealings counted, who was missing, who lied, what is retired')
    .argument('[epoch]', 'only this one, in full', wholeNumber)
    .option('--limit <count>', 'how many, newest first', wholeNumber, 20)
    .action(async (epoch: number | undefined, _, command: Command) => {
      const { limit, json } = optionsOf<{ limit: number }>(command);
      const { epochsMax } = doorLimits.socket;
      if (limit < 1 || limit > epochsMax)
        throw new CommandError('usage', `--limit must be from 1 to ${epochsMax} (it is ${limit})`);
      await withApi(command, async (daemon) => {
        if (epoch !== undefined) {
          const found = await daemon.epoch(epoch);
          return json ? sayJson(found) : showEpoch(found);
        }
        const epochs = await daemon.epochs(limit);
        if (json) return sayJson({ epochs });
        if (epochs.length === 0) return say(faint('none yet'));
        sayTable(
          ['epoch', 'decided', 'retired', 'dealt', 'missing', 'blamed', 'held for', 'waited'],
          epochs.map((one) => [
            String(one.epoch),
            when(one),
            one.retired ? 'yes' : 'no',
            names(one.dealt),
            names(one.missing),
            names([...new Set(one.blamed.map(({ member }) => member))]),
            names(paused(one, 'held')),
            names(paused(one, 'waited')),
          ]),
        );
      });
    });

const names = (list: readonly string[]): string => (list.length === 0 ? '-' : list.join(','));
const when = ({ decidedAtMs }: EpochView): string =>
  decidedAtMs === null ? '-' : new Date(decidedAtMs).toISOString();

const paused = ({ pauses }: EpochView, kind: PauseView['kind']): string[] =>
  pauses.filter((pause) => pause.kind === kind).map(({ member }) => member);

const proofInWords = ({ ready, trials }: NonNullable<EpochView['retireProof']>): string => {
  const tried = trials.length === 0 ? '' : `; trial signature of ${names(trials)} checked`;
  return `${names(ready)} signed that they are ready${tried}`;
};

function showEpoch(epoch: EpochView): void {
  const row = (label: string, text: string): void => say(`${faint(label.padEnd(14))}${text}`);
  say(strong(`epoch ${epoch.epoch}`));
  row('value', epoch.value);
  row('decided', `${when(epoch)}${epoch.round === null ? '' : `, round ${epoch.round}`}`);
  row('retired', epoch.retired ? 'yes: what is older is erased' : 'no');
  if (epoch.retireProof !== null) row('retire proof', proofInWords(epoch.retireProof));
  row('members', `${names(epoch.members)}; ${epoch.threshold} needed`);
  row('keys', names(epoch.keys));
  row('dealt', names(epoch.dealt));
  row('did not deal', names(epoch.didNotDeal));
  row('missing', names(epoch.missing));
  row('contradicted', names(epoch.contradicted));
  for (const blame of epoch.blamed) row('blamed', `${blame.member}: ${blameInWords(blame)}`);
  for (const pause of epoch.pauses) row('recovery', pauseInWords(pause));
  if (epoch.verificationKeys.length > 0)
    sayTable(
      ['key', 'member', 'verification key'],
      epoch.verificationKeys.map(({ key, member, hash }) => [key, member, hash]),
    );
}
