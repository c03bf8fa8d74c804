/** Signing orders as an operator, handing them in, and waiting until the group has carried them out. */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import type { ApiClient } from '../api/client.ts';
import type { SigningKey } from '../api/client-file.ts';
import { orderText } from '../api/wire.ts';
import { type Home, writePrivateFile } from '../node/home.ts';
import { sameBytes } from '../protocol/codec.ts';
import { type Action, hashOfOrder, type Order } from '../protocol/order.ts';
import type { Member } from '../protocol/roster.ts';
import { hashOfValue, type Value } from '../protocol/value.ts';
import { duration, optionsOf, withDaemon } from './context.ts';
import {
  type OperatorOptions,
  openOperators,
  operatorFiles,
  signAsOperators,
  wipe,
  withOperator,
} from './operators.ts';
import { actionsInWords, factsOf, signaturesInWords } from './order-words.ts';
import { CommandError, readInput, say, sayJson } from './terminal.ts';
import { VerifiedChain } from './verified-chain.ts';
import { untilDone } from './waiting.ts';

export interface WaitOptions {
  wait: boolean;
  timeout?: number;
}

export interface OrderOptions extends OperatorOptions, WaitOptions {
  orderFile?: string;
}

/** Adds the options of commands that wait until an order is carried out. */
export const withWait = (command: Command): Command =>
  command
    .option('--no-wait', 'return when the order is handed in, before the group has carried it out')
    .option('--timeout <time>', 'give up waiting after this time; the order stays handed in', duration);

/** Adds the options of commands that sign an order. */
export const withOrder = (command: Command): Command =>
  withWait(withOperator(command)).addOption(
    new Option('--order-file <file>', 'write the order there instead, for other operators to sign'),
  );

/** The order for these actions that follows `head`, with the signatures of `keys`. */
export function makeOrder(
  home: Home,
  head: Value,
  actions: readonly Action[],
  keys: readonly SigningKey[],
): Order {
  const body = {
    cluster: home.cluster,
    ancestor: hashOfValue(head),
    ancestorEpoch: head.epoch,
    sequence: head.lastOrder + 1,
    actions: [...actions],
  };
  return { body, signatures: signAsOperators(home, keys, hashOfOrder({ body, signatures: [] })) };
}

/** Throws `CommandError('refused')` when the roster has no such member. */
export function memberNamed({ roster }: Value, name: string): Member {
  const member = roster.find((listed) => listed.name === name);
  if (member === undefined)
    throw new CommandError('refused', `there is no member named ${name}; see holdfast peers`);
  return member;
}

/** Whether `value` shows that every action of the order was carried out. */
export const tookEffect = ({ body }: Order, value: Value): boolean =>
  body.actions.every((action) => shows(value, action));

function shows(value: Value, action: Action): boolean {
  switch (action.type) {
    case 'create-key':
      return value.keys.some((key) => key.name === action.name && sameBytes(key.modulus, action.modulus));
    case 'destroy-key':
      return !value.keys.some((key) => key.name === action.name);
    case 'admit':
    case 'reinstate':
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

export const orderLine = (order: Order): string => `${z.encode(orderText, order)}\n`;

export async function readOrderFile(file: string): Promise<Order> {
  const text = (await readInput(file)).toString('utf8').trim();
  try {
    return orderText.parse(text);
  } catch {
    throw new CommandError('failed', `${file} is not an order`);
  }
}
export const writeOrderFile = (file: string, order: Order): void => writePrivateFile(file, orderLine(order));

/** Waits until the group has decided on `order`; the value it took effect in. */
function waitForOrder(
  chain: VerifiedChain,
  daemon: ApiClient,
  order: Order,
  timeoutMs: number | undefined,
): Promise<Value> {
  const { sequence } = order.body;
  const carriedOut = async (): Promise<Value | null> => {
    const head = await chain.head();
    if (head.lastOrder < sequence) return null;
    if (!tookEffect(order, head))
      throw new CommandError(
        'failed',
        `another order with number ${sequence} was carried out instead; run this again`,
      );
    return head;
  };
  const stays = `order ${sequence} stays handed in, and is carried out when enough members take part; see holdfast status`;
  return untilDone(daemon, carriedOut, {
    timeoutMs,
    begins: 'waiting for the group to carry it out (stopping this command does not stop it)…',
    stopped: `stopped waiting; ${stays}`,
    late: (missing) => `the group has not carried it out yet${missing}; ${stays}`,
  });
}

/** Throws `CommandError` when too few operators sign here and nothing lets others sign. */
export function checkEnoughOperators(home: Home, options: OperatorOptions, otherwise: string): void {
  const { operatorsNeeded, operators } = home.genesis;
  if (operatorFiles(home, options).length < operatorsNeeded)
    throw new CommandError(
      'usage',
      `this needs ${operatorsNeeded} of the ${operators.length} operators: repeat --operator FILE${otherwise}`,
    );
}

/**
 * The whole of a command that is one order, whatever it names: sign, hand in, wait, say so. When `decide` gives a function,
 * that is called once the operators' keys are open: what it makes is not left behind by a wrong passphrase.
 */
export async function runOrder(
  command: Command,
  decide: (head: Value, daemon: ApiClient, home: Home) => Promise<Action[] | (() => Action[])>,
  done: (value: Value, home: Home, daemon: ApiClient) => string | Promise<string>,
): Promise<void> {
  const options = optionsOf<OrderOptions>(command);
  await withDaemon(command, async (daemon, home) => {
    if (options.orderFile === undefined)
      checkEnoughOperators(
        home,
        options,
        ', or write the order with --order-file FILE for the others to sign with: holdfast order sign FILE',
      );
    else operatorFiles(home, options);
    const chain = new VerifiedChain(home, daemon);
    const head = await chain.head();
    const decided = await decide(head, daemon, home);
    const keys = await openOperators(home, options);
    const actions = typeof decided === 'function' ? decided() : decided;
    const order = makeOrder(home, head, actions, keys);
    wipe(keys);
    if (options.orderFile !== undefined)
      return keepForOthers(options.orderFile, order, home, head, options.json);
    await handIn(order, chain, daemon, options, (value) => done(value, home, daemon));
  });
}

function keepForOthers(file: string, order: Order, home: Home, head: Value, json: boolean): void {
  writeOrderFile(file, order);
  const facts = factsOf(order, home, head);
  if (json) sayJson({ file, ...facts });
  else say(`${file}: ${actionsInWords(facts)}\norder ${facts.sequence}, ${signaturesInWords(facts)}`);
}

/** Hands an order in and, unless told otherwise, waits until it is carried out. */
export async function handIn(
  order: Order,
  chain: VerifiedChain,
  daemon: ApiClient,
  options: WaitOptions & { json: boolean },
  done: (value: Value) => string | Promise<string>,
): Promise<void> {
  const { sequence } = order.body;
  await daemon.submitOrder(order);
  if (!options.wait) {
    if (options.json) sayJson({ order: sequence, decided: false });
    else say(`order ${sequence} is handed in; see holdfast status`);
    return;
  }
  const value = await waitForOrder(chain, daemon, order, options.timeout);
  if (options.json) sayJson({ order: sequence, decided: true, epoch: value.epoch });
  else say(`epoch ${value.epoch}: ${await done(value)}`);
}
