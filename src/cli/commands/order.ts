import { Command } from 'commander';
import { ApiError, connectApi } from '../../client/api-client.ts';
import { VerifiedChain } from '../../client/verified-chain.ts';
import { type Home, openHome, replacePrivateFile } from '../../node/home/home.ts';
import { abilitiesAtBest } from '../../node/views/ability.ts';
import { sameBytes } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import { hashOfOrder } from '../../protocol/records/order.ts';
import type { Value } from '../../protocol/records/value.ts';
import { optionsOf, withDaemon } from '../context.ts';
import { carriedOutIn } from '../done-already.ts';
import { checkEviction, checkForcedEviction, checkThreshold, warnOfWaiting } from '../feasibility.ts';
import { HandingIn } from '../handing-in.ts';
import { knownGroup } from '../known-group.ts';
import { checkOneChange, sayOutlook } from '../one-change.ts';
import {
  type OperatorOptions,
  openOperators,
  operatorFiles,
  signAsOperators,
  wipe,
  withOperator,
} from '../operators.ts';
import { actionsInWords, factsOf, orderInWords, signaturesInWords, signersOf } from '../order-words.ts';
import { handIn, orderLine, readOrderFile, sayDoneAlready, type WaitOptions, withWait } from '../orders.ts';
import { confirmSpare, confirmSpareOf, spareAfter } from '../spare.ts';
import { CommandError, confirm, progress, say, sayJson } from '../terminal.ts';

const signCommand = (): Command =>
  withOperator(new Command('sign'))
    .description('show what an order does, ask, and add an operator’s signature to it')
    .argument('<file>', 'what a command wrote with --order-file')
    .option('--yes', 'do not ask', false)
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<OperatorOptions & { yes: boolean }>(command);
      const home = openHome(options.home);
      const order = await readOrderFile(file);
      const { cluster, sequence, ancestorEpoch, actions } = order.body;
      if (!sameBytes(cluster, home.cluster))
        throw new CommandError('refused', `${file} is an order for another cluster; nothing was signed`);
      operatorFiles(home, options);
      const head = await newestKnown(home);
      for (const line of orderInWords(factsOf(order, home, head))) progress(line);
      if (head !== null) {
        const members = abilitiesAtBest(home.genesis, head);
        const spare = spareAfter(home, head, members, order.body.actions);
        await confirmSpare(spare, true, '--yes'); // the question below asks whether to sign it
      }
      if (head !== null && sequence <= head.lastOrder)
        throw new CommandError('refused', `order ${sequence} was used already; have it made again`);
      if (head !== null && head.epoch - ancestorEpoch > limits.orderAgeEpochsMax)
        throw new CommandError(
          'refused',
          `the order is more than ${limits.orderAgeEpochsMax} epochs old; have it made again`,
        );
      if (head !== null && sequence === head.lastOrder + 1) sayOutlook(actions, head, home);
      if (!options.yes && !(await confirm('sign it?', 'give --yes')))
        throw new CommandError('refused', 'nothing was signed');
      const keys = await openOperators(home, options);
      const added = signAsOperators(home, keys, hashOfOrder(order));
      wipe(keys);
      const others = order.signatures.filter(
        ({ operator }) => !added.some((mine) => mine.operator === operator),
      );
      const signatures = [...others, ...added].sort((a, b) => a.operator - b.operator);
      const signed = { ...order, signatures };
      replacePrivateFile(file, Buffer.from(orderLine(signed)));
      const facts = factsOf(signed, home, head);
      if (options.json) return sayJson({ file, ...facts });
      const next = facts.signedBy.length < facts.needed ? 'sign' : 'submit';
      say(`${file}: ${signaturesInWords(facts)}; next: holdfast order ${next} ${file}`);
    });

/**
 * The newest value of the running daemon, or else the newest one that a command in this home has seen. Null
 * for none.
 */
async function newestKnown(home: Home): Promise<Value | null> {
  const daemon = connectApi(home.socketFile);
  const chain = new VerifiedChain(knownGroup(home), daemon);
  try {
    return await chain.head();
  } catch (error) {
    if (error instanceof ApiError && (error.code === 'not-running' || error.code === 'not-a-member'))
      return chain.seen;
    throw error;
  } finally {
    await daemon.close();
  }
}

const submitCommand = (): Command =>
  withWait(new Command('submit'))
    .description('hand in an order that enough operators have signed')
    .argument('<file>')
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<WaitOptions>(command);
      const order = await readOrderFile(file);
      await withDaemon(command, async (daemon, home) => {
        const { cluster, actions, sequence } = order.body;
        if (!sameBytes(cluster, home.cluster))
          throw new CommandError('refused', 'the order is for another cluster; it was not handed in');
        const { operatorsNeeded } = home.genesis;
        const signers = signersOf(order, home);
        if (signers.length < operatorsNeeded)
          throw new CommandError(
            'refused',
            `${file} is signed by ${signers.length} of the ${operatorsNeeded} operators that are needed; have another sign it with: holdfast order sign ${file}`,
          );
        const chain = new VerifiedChain(knownGroup(home), daemon);
        const head = await chain.head();
        const words = `carried out: ${actionsInWords(factsOf(order, home, head))}`;
        const already = await carriedOutIn(order, head, daemon);
        if (already !== null) return sayDoneAlready(already, options.json, words);
        if (sequence === head.lastOrder + 1) checkOneChange(actions, head, home);
        for (const action of actions) {
          if (action.type === 'raise-threshold' && action.threshold > head.threshold)
            await checkThreshold(action.threshold, head, daemon, home.genesis);
          if (action.type === 'force-evict')
            await checkForcedEviction(action.remaining, head, daemon, home.genesis);
        }
        const group = { head, daemon, home };
        if (actions.some(({ type }) => type === 'evict')) await checkEviction(actions, group);
        else await warnOfWaiting(actions, group);
        // The operators were told what the order leaves at best. Here the warning uses the members as they
        // are now.
        await confirmSpareOf(actions, head, { daemon, home }, { yes: true, instead: '--yes' });
        await handIn(new HandingIn(order, { command, chain, daemon }), group, options, () => words);
      });
    });

export const orderCommand = (): Command =>
  new Command('order')
    .description('orders that several operators must agree on')
    .addCommand(signCommand())
    .addCommand(submitCommand());
