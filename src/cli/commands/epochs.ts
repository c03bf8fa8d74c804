import { Command } from 'commander';
import type { EpochView } from '../../node/view.ts';
import { optionsOf, wholeNumber, withDaemon } from '../context.ts';
import { faint, say, sayJson, sayTable, strong } from '../terminal.ts';

export const epochsCommand = (): Command =>
  new Command('epochs')
    .description('history: whose dealings counted, who was missing, who lied, what is retired')
    .argument('[epoch]', 'only this one, in full', wholeNumber)
    .option('--limit <count>', 'how many, newest first', wholeNumber, 20)
    .action(async (epoch: number | undefined, _, command: Command) => {
      const { limit, json } = optionsOf<{ limit: number }>(command);
      await withDaemon(command, async (daemon) => {
        if (epoch !== undefined) {
          const found = await daemon.epoch(epoch);
          return json ? sayJson(found) : showEpoch(found);
        }
        const epochs = await daemon.epochs(limit);
        if (json) return sayJson({ epochs });
        if (epochs.length === 0) return say(faint('none yet'));
        sayTable(
          ['epoch', 'decided', 'retired', 'dealt', 'missing', 'blamed'],
          epochs.map((one) => [
            String(one.epoch),
            when(one),
            one.retired ? 'yes' : 'no',
            names(one.dealt),
            names(one.missing),
            names([...new Set(one.blamed.map(({ member }) => member))]),
          ]),
        );
      });
    });

const names = (list: readonly string[]): string => (list.length === 0 ? '-' : list.join(','));
const when = ({ decidedAtMs }: EpochView): string =>
  decidedAtMs === null ? '-' : new Date(decidedAtMs).toISOString();

function showEpoch(epoch: EpochView): void {
  const row = (label: string, text: string): void => say(`${faint(label.padEnd(14))}${text}`);
  say(strong(`epoch ${epoch.epoch}`));
  row('value', epoch.value);
  row('decided', `${when(epoch)}${epoch.round === null ? '' : `, round ${epoch.round}`}`);
  row('retired', epoch.retired ? 'yes: what is older is erased' : 'no');
  row('members', `${names(epoch.members)}; ${epoch.threshold} needed`);
  row('keys', names(epoch.keys));
  row('dealt', names(epoch.dealt));
  row('did not deal', names(epoch.didNotDeal));
  row('missing', names(epoch.missing));
  row('contradicted', names(epoch.contradicted));
  row('blamed', names(epoch.blamed.map(({ member, kind }) => `${member} (${kind})`)));
  if (epoch.verificationKeys.length > 0)
    sayTable(
      ['key', 'member', 'verification key'],
      epoch.verificationKeys.map(({ key, member, hash }) => [key, member, hash]),
    );
}
