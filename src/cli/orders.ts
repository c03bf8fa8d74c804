/** Signing orders as an operator, handing them in, and waiting until the group has carried them out. */
import { type Command, Option } from 'commander';
import type { ApiClient } from '../api/client.ts';
import type { Home } from '../node/home.ts';
import { writePrivateFile } from '../node/home.ts';
import { decode, encode, sameBytes } from '../protocol/codec.ts';
import {
  type Action,
  hashOfOrder,
  type OperatorSignature,
  type Order,
  operatorSign,
  orderSchema,
} from '../protocol/order.ts';
import { hashOfValue, type Value } from '../protocol/value.ts';
import { collect, interruption, optionsOf, withDaemon } from './context.ts';
import { openOperatorFile, type SigningKey } from './key-files.ts';
import { CommandError, progress, readInput, say, sayJson } from './terminal.ts';
import { VerifiedChain } from './verified-chain.ts';

export interface OperatorOptions {
  operator?: string[];
  operatorPassphraseFile?: string;
}

export interface OrderOptions extends OperatorOptions {
  wait: boolean;
  orderFile?: string;
}

/** Adds the options that say which operator signs. */
export const withOperator = (command: Command): Command =>
  command
    .option('--operator <file>', "operator key (repeat for several; default: the home's own)", collect)
    .option('--operator-passphrase-file <file>', 'file whose first line is the passphrase');

/** Adds the options of commands that sign an order. */
export const withOrder = (command: Command): Command =>
  withOperator(command)
    .option('--no-wait', 'return when the order is handed in, before the group has carried it out')
    .addOption(
      new Option('--order-file <file>', 'write the order there instead, for other operators to sign'),
    );

export async function openOperators(home: Home, options: OperatorOptions): Promise<SigningKey[]> {
  const keys: SigningKey[] = [];
  for (const file of options.operator ?? [home.operatorFile])
    keys.push(await openOperatorFile(file, options.operatorPassphraseFile));
  return keys;
}

/** Signs a digest with every given key and wipes the keys. Throws `ProtocolError` for a key that the genesis does not list. */
export function signAsOperators(
  home: Home,
  keys: readonly SigningKey[],
  digest: Uint8Array,
): OperatorSignature[] {
  return keys.map((key) => operatorSign(home.genesis, key.seed, digest));
}

export const wipe = (keys: readonly SigningKey[]): void => {
  for (const key of keys) key.seed.fill(0);
};

/** The order for `action` that follows `head`, with the signatures of `keys`. `ahead`: orders signed just before. */
export function makeOrder(
  home: Home,
  head: Value,
  action: Action,
  keys: readonly SigningKey[],
  ahead = 0,
): Order {
  const body = {
    cluster: home.cluster,
    ancestor: hashOfValue(head),
    ancestorEpoch: head.epoch,
    sequence: head.lastOrder + 1 + ahead,
    action,
  };
  return { body, signatures: signAsOperators(home, keys, hashOfOrder({ body, signatures: [] })) };
}

/** Whether `value` shows that the action was carried out. */
export function tookEffect(action: Action, value: Value): boolean {
  switch (action.type) {
    case 'create-key':
      return value.keys.some((key) => key.name === action.name && sameBytes(key.modulus, action.modulus));
    case 'destroy-key':
      return !value.keys.some((key) => key.name === action.name);
    case 'admit':
      return value.roster.some((member) => member.peer === action.peer);
    case 'evict':
      return !value.roster.some((member) => member.index === action.index);
    case 'force-evict':
      return value.roster.every(({ index }) => action.remaining.includes(index));
    case 'raise-threshold':
      return value.threshold === action.threshold;
    case 'add-client':
      return value.clients.some((client) => sameBytes(client.publicKey, action.client.publicKey));
    case 'remove-client':
      return !value.clients.some((client) => client.name === action.name);
  }
}

const orderPrefix = 'holdfast-order1 ';
export const orderText = (order: Order): string =>
  `${orderPrefix}${Buffer.from(encode(order)).toString('base64url')}\n`;

export function readOrderFile(file: string): Order {
  const text = readInput(file).toString('utf8').trim();
  if (!text.startsWith(orderPrefix)) throw new CommandError('failed', `${file} is not an order`);
  return decode(orderSchema, new Uint8Array(Buffer.from(text.slice(orderPrefix.length), 'base64url')));
}
export const writeOrderFile = (file: string, order: Order): void => writePrivateFile(file, orderText(order));

/** Waits until the group has decided on `order`; the value it took effect in. */
export function waitForOrder(
  chain: VerifiedChain,
  daemon: ApiClient,
  order: Order,
  signal: AbortSignal,
): Promise<Value> {
  return daemon.until(async () => {
    const head = await chain.head();
    if (head.lastOrder < order.body.sequence) return null;
    if (!tookEffect(order.body.action, head))
      throw new CommandError(
        'failed',
        `another order with number ${order.body.sequence} was carried out instead; run this again`,
      );
    return head;
  }, signal);
}

/** The whole of a command that is one order (or a few): sign, hand in, wait, say so. */
export async function runOrders(
  command: Command,
  decide: (head: Value, daemon: ApiClient, home: Home) => Promise<Action[]>,
  done: (value: Value, home: Home, daemon: ApiClient) => string | Promise<string>,
): Promise<void> {
  const options = optionsOf<OrderOptions>(command);
  await withDaemon(command, async (daemon, home) => {
    const chain = new VerifiedChain(home, daemon);
    const head = await chain.head();
    const actions = await decide(head, daemon, home);
    const keys = await openOperators(home, options);
    const orders = actions.map((action, at) => makeOrder(home, head, action, keys, at));
    wipe(keys);
    if (options.orderFile !== undefined) return keepForOthers(options.orderFile, orders, home);
    await handIn(orders, chain, daemon, options, (value) => done(value, home, daemon));
  });
}

function keepForOthers(file: string, orders: readonly Order[], home: Home): void {
  const [order] = orders;
  if (order === undefined || orders.length > 1)
    throw new CommandError('usage', 'one order file holds one order');
  writeOrderFile(file, order);
  say(
    `${file}: order ${order.body.sequence}, signed by ${order.signatures.length} of ${home.genesis.operatorsNeeded} operators`,
  );
}

/** Hands orders in and, unless told otherwise, waits until the last one is carried out. */
export async function handIn(
  orders: readonly Order[],
  chain: VerifiedChain,
  daemon: ApiClient,
  options: { wait: boolean; json: boolean },
  done: (value: Value) => string | Promise<string>,
): Promise<void> {
  for (const order of orders) await daemon.submitOrder(order);
  const last = orders.at(-1);
  if (last === undefined) return;
  if (!options.wait) {
    if (options.json) sayJson({ orders: orders.map((order) => order.body.sequence), decided: false });
    else say(`order ${last.body.sequence} is handed in; see holdfast status`);
    return;
  }
  progress('waiting for the group to carry it out (stopping this command does not stop it)…');
  const value = await waitForOrder(chain, daemon, last, interruption());
  if (options.json)
    sayJson({ orders: orders.map((order) => order.body.sequence), decided: true, epoch: value.epoch });
  else say(`epoch ${value.epoch}: ${await done(value)}`);
}
