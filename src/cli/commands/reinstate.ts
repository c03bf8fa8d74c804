import { Command } from 'commander';
import type { ApiClient } from '../../client/api-client.ts';
import type { Home } from '../../node/home/home.ts';
import type { Action } from '../../protocol/records/order.ts';
import { explainChoice, quorumOf } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import { optionsOf } from '../context.ts';
import { type DoneAlready, enteredAs } from '../done-already.ts';
import { confirmAll, isAwaited, type Newcomer, waitingPeers } from '../newcomers.ts';
import { checkOneChange } from '../one-change.ts';
import { type Decided, memberNamed, runOrder, withOrder } from '../orders.ts';
import { confirmSpareOf } from '../spare.ts';
import { warn } from '../terminal.ts';

export const reinstateCommand = (): Command =>
  withOrder(new Command('reinstate'))
    .description('give a suspended, lost or long absent member its place again; it waits with a new home')
    .argument('<name>', 'the member; its new home has joined under the same name')
    .option('--yes <fingerprint>', 'this fingerprint is right: for scripts, which cannot be asked')
    .action(async (name: string, _, command: Command) => {
      const { yes } = optionsOf<{ yes?: string }>(command);
      await runOrder(
        command,
        async (head, daemon, home): Promise<Decided> => {
          const { index } = memberNamed(head, name);
          const given = yes === undefined ? undefined : [yes];
          const already = await reinstatedSince(head, daemon, home, name, given);
          if (already !== null) return already;
          const newcomers = await waitingPeers(daemon, home, [name]);
          const { peer, epochKey } = newcomers[0] as Newcomer;
          const actions: Action[] = [{ type: 'reinstate', index, peer, epochKey }];
          checkOneChange(actions, head, home);
          await confirmAll(newcomers, home, given);
          const { roster, threshold } = head;
          if (quorumOf(roster.length, threshold, home.genesis.faultModel) === roster.length)
            warn(
              `this change needs all ${roster.length} members, the old ${name} too; if that one is gone for good: holdfast evict ${name} --forced, then holdfast admit ${name}`,
            );
          const answer = { yes: yes !== undefined, instead: 'give --yes FINGERPRINT…' };
          await confirmSpareOf(actions, head, { daemon, home }, answer);
          return actions;
        },
        ({ roster, threshold }, { genesis }) =>
          `${name} has its place again; ${explainChoice(roster.length, threshold, genesis.faultModel)}`,
      );
    });

/**
 * When the member came back with the new home that is meant. Null when it did not, or came back with another
 * home.
 */
async function reinstatedSince(
  head: Value,
  daemon: ApiClient,
  home: Home,
  name: string,
  yes: readonly string[] | undefined,
): Promise<DoneAlready | null> {
  const entered = await enteredAs(head, daemon, home, name);
  // A founder or an admitted member has no earlier place to come back to.
  if (entered === null || !entered.cameBack) return null;
  if (yes !== undefined) return yes.includes(entered.fingerprint) ? entered.since : null;
  if (await isAwaited(daemon, name)) return null;
  await confirmAll([entered.newcomer], home, yes);
  return entered.since;
}
