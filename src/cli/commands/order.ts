import { Command } from 'commander';
import { openHome, replacePrivateFile } from '../../node/home.ts';
import { hashOfOrder } from '../../protocol/order.ts';
import { optionsOf, withDaemon } from '../context.ts';
import {
  handIn,
  type OperatorOptions,
  openOperators,
  orderText,
  readOrderFile,
  signAsOperators,
  wipe,
  withOperator,
} from '../orders.ts';
import { CommandError, say } from '../terminal.ts';
import { VerifiedChain } from '../verified-chain.ts';

const signCommand = (): Command =>
  withOperator(new Command('sign'))
    .description('add an operator’s signature to an order')
    .argument('<file>', 'what a command wrote with --order-file')
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<OperatorOptions>(command);
      const home = openHome(options.home);
      const order = readOrderFile(file);
      const keys = await openOperators(home, options);
      const added = signAsOperators(home, keys, hashOfOrder(order));
      wipe(keys);
      const others = order.signatures.filter(
        ({ operator }) => !added.some((mine) => mine.operator === operator),
      );
      const signatures = [...others, ...added].sort((a, b) => a.operator - b.operator);
      replacePrivateFile(file, Buffer.from(orderText({ ...order, signatures })));
      say(
        `${file}: ${order.body.action.type}, signed by ${signatures.length} of ${home.genesis.operatorsNeeded} operators`,
      );
    });

const submitCommand = (): Command =>
  new Command('submit')
    .description('hand in an order that enough operators have signed')
    .argument('<file>')
    .option('--no-wait', 'return before the group has carried it out')
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<{ wait: boolean }>(command);
      const order = readOrderFile(file);
      await withDaemon(command, async (daemon, home) => {
        if (order.signatures.length < home.genesis.operatorsNeeded)
          throw new CommandError(
            'refused',
            `only ${order.signatures.length} of ${home.genesis.operatorsNeeded} operators signed ${file}; see holdfast order sign`,
          );
        const chain = new VerifiedChain(home, daemon);
        await handIn([order], chain, daemon, options, () => `${order.body.action.type} carried out`);
      });
    });

export const orderCommand = (): Command =>
  new Command('order')
    .description('orders that several operators must agree on')
    .addCommand(signCommand())
    .addCommand(submitCommand());
