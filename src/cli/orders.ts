/** Signs orders as an operator, hands them in, and waits until the group has carried them out. */
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { orderText } from '../api/wire.ts';
import { type ApiClient, ApiError } from '../client/api-client.ts';
import type { SigningKey } from '../client/signing-key.ts';
import { VerifiedChain } from '../client/verified-chain.ts';
import { type Home, writePrivateFile } from '../node/home/home.ts';
import { isOfOtherVersion } from '../protocol/records/errors.ts';
import {
  type Action,
  hashOfOrder,
  type Order,
  type OrderBody,
  orderSchema,
} from '../protocol/records/order.ts';
import type { Member } from '../protocol/records/roster.ts';
import { hashOfValue, type Value } from '../protocol/records/value.ts';
import { checkTextVersion } from '../protocol/records/version.ts';
import { duration, optionsOf, withDaemon } from './context.ts';
import { DoneAlready } from './done-already.ts';
import { pendingInWords, warnOfWaiting } from './feasibility.ts';
import { HandingIn } from './handing-in.ts';
import { knownGroup } from './known-group.ts';
import { checkOneChange } from './one-change.ts';
import {
  type OperatorOptions,
  openOperators,
  operatorFiles,
  signAsOperators,
  wipe,
  withOperator,
} from './operators.ts';
import { actionsInWords, factsOf, signaturesInWords } from './order-words.ts';
import { CommandError, progress, readInput, say, sayJson } from './terminal.ts';

/** `timeout` is in milliseconds. */
export interface WaitOptions {
  wait: boolean;
  timeout?: number;
}

/** The options of commands that sign an order. */
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

/**
 * The order for these actions that follows `head`, signed with `keys`.
 * @throws ProtocolError for a key that the genesis does not list
 */
export function makeOrder(
  home: Home,
  head: Value,
  actions: readonly Action[],
  keys: readonly SigningKey[],
): Order {
  const body: OrderBody = {
    v: 1,
    cluster: home.cluster,
    ancestor: hashOfValue(head),
    ancestorEpoch: head.epoch,
    sequence: head.lastOrder + 1,
    actions: [...actions],
  };
  return { body, signatures: signAsOperators(home, keys, hashOfOrder({ body, signatures: [] })) };
}

/** The member of this name. Throws `CommandError('refused')` when the roster has none. */
export function memberNamed({ roster }: Value, name: string): Member {
  const member = roster.find((listed) => listed.name === name);
  if (member === undefined)
    throw new CommandError('refused', `there is no member named ${name}; see holdfast peers`);
  return member;
}

/** The text of an order file: one line. */
export const orderLine = (order: Order): string => `${z.encode(orderText, order)}\n`;

/**
 * Reads an order file, or standard input for `-`. No signature is checked. Throws `CommandError('failed')`.
 */
export async function readOrderFile(file: string): Promise<Order> {
  const text = (await readInput(file)).toString('utf8').trim();
  try {
    checkTextVersion(orderSchema.record, /^holdfast-order(\d+) /, text);
    return orderText.parse(text);
  } catch (error) {
    if (isOfOtherVersion(error)) throw new CommandError('failed', `${file}: ${error.message}`);
    throw new CommandError('failed', `${file} is not an order`);
  }
}
/** Writes a new order file that only its owner can read. Throws `HomeError` when the file exists. */
export const writeOrderFile = (file: string, order: Order): void => writePrivateFile(file, orderLine(order));

/**
 * Throws `CommandError('usage')` when too few operators sign here. `otherwise` ends its line with what helps.
 */
export function checkEnoughOperators(home: Home, options: OperatorOptions, otherwise: string): void {
  const { operatorsNeeded, operators } = home.genesis;
  if (operatorFiles(home, options).length < operatorsNeeded)
    throw new CommandError(
      'usage',
      `this needs ${operatorsNeeded} of the ${operators.length} operators: repeat --operator FILE${otherwise}`,
    );
}

interface Planned {
  /**
   * Gives the actions. It is called after the operators' keys are open, so a wrong passphrase leaves nothing
   * behind.
   */
  make: () => Promise<Action[]>;
  /** Removes what `make` left behind. It is called when the order can never take effect. */
  undo: () => void;
}

/**
 * What a command decides to order: actions, a plan that makes them, or nothing because the group has done it
 * already.
 */
export type Decided = Action[] | Planned | DoneAlready;

/**
 * The whole of a command that is one order: it decides, signs, hands in, waits and reports.
 * @param decide looks at the newest value before any passphrase is asked for
 * @param done the words for an order that was carried out in `value`
 * @throws CommandError, ApiError, ClientError, HomeError
 */
export async function runOrder(
  command: Command,
  decide: (head: Value, daemon: ApiClient, home: Home) => Promise<Decided>,
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
    const chain = new VerifiedChain(knownGroup(home), daemon);
    const head = await chain.head();
    const decided = await decide(head, daemon, home);
    if (decided instanceof DoneAlready)
      return sayDoneAlready(decided, options.json, await done(decided.value, home, daemon));
    if (Array.isArray(decided)) checkOneChange(decided, head, home);
    const group = { head, daemon, home };
    // Actions that are made after the keys are open change no roster.
    if (options.orderFile === undefined) await warnOfWaiting(Array.isArray(decided) ? decided : [], group);
    const { make, undo }: Planned = Array.isArray(decided)
      ? { make: async () => decided, undo: () => {} }
      : decided;
    const keys = await openOperators(home, options);
    let handing: HandingIn | null = null;
    try {
      const order = makeOrder(home, head, await make(), keys);
      if (options.orderFile !== undefined)
        return keepForOthers(options.orderFile, order, home, head, options.json);
      handing = new HandingIn(order, { command, chain, daemon });
      await handIn(handing, group, options, (value) => done(value, home, daemon));
    } catch (error) {
      if (handing?.sent !== true) undo();
      throw error;
    } finally {
      wipe(keys);
    }
  });
}

function keepForOthers(file: string, order: Order, home: Home, head: Value, json: boolean): void {
  writeOrderFile(file, order);
  const facts = factsOf(order, home, head);
  if (json) sayJson({ file, ...facts });
  else say(`${file}: ${actionsInWords(facts)}\norder ${facts.sequence}, ${signaturesInWords(facts)}`);
}

/** Reports an order that the group has carried out before. */
export function sayDoneAlready({ value, said }: DoneAlready, json: boolean, words: string): void {
  if (json) sayJson({ order: null, decided: true, epoch: value.epoch, already: true });
  else if (said !== null) say(said);
  else say(`epoch ${value.epoch}: ${words}; this was done already`);
}

/**
 * Hands an order in. Unless the options say otherwise, it waits until the order is carried out. Then it
 * reports.
 * @throws CommandError, ApiError
 */
export async function handIn(
  handing: HandingIn,
  group: { head: Value; daemon: ApiClient; home: Home },
  { wait, timeout, json }: WaitOptions & { json: boolean },
  done: (value: Value) => string | Promise<string>,
): Promise<void> {
  const { sequence } = handing.current.body;
  const carriedOut = async (): Promise<Value | 'handed in' | null> => {
    const value = handing.sent ? await handing.decision() : null;
    if (value !== null) return value;
    if ((await submitted(handing, group)) && wait)
      progress('waiting for the group to carry it out (stopping this command does not stop it)…');
    return wait ? handing.decision() : 'handed in';
  };
  const value = await handing.wait(carriedOut, {
    timeoutMs: timeout,
    begins: null,
    late: (missing) => `the group has not carried it out yet${missing}`,
  });
  if (value === 'handed in') {
    if (json) sayJson({ order: sequence, decided: false });
    else say(`order ${sequence} is handed in; see holdfast status`);
    return;
  }
  if (json) return sayJson({ order: sequence, decided: true, epoch: value.epoch, already: false });
  say(`epoch ${value.epoch}: ${await handing.afterwards(value, async () => done(value))}`);
}

/**
 * Hands the order in. Gives true the first time.
 * @throws CommandError `refused` while another order has the number
 */
async function submitted(handing: HandingIn, group: Parameters<typeof handIn>[1]): Promise<boolean> {
  try {
    return await handing.submit();
  } catch (error) {
    if (handing.sent || !(error instanceof ApiError) || error.rule !== 'order-pending') throw error;
    throw new CommandError('refused', await pendingInWords(handing.current.body.sequence, group));
  }
}
