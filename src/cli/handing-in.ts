/**
 * The state of one order from the moment at which it is handed in. The command waits for a daemon that goes
 * away, and hands the order in to it again. When the command ends without an answer, it says that the order
 * may still take effect, and which command shows it.
 */

import type { Command } from 'commander';
import { type ApiClient, ApiError } from '../client/api-client.ts';
import { History } from '../client/history.ts';
import type { VerifiedChain } from '../client/verified-chain.ts';
import { sameBytes } from '../protocol/records/codec.ts';
import { isSameKey } from '../protocol/records/draft-actions.ts';
import type { Action, Order } from '../protocol/records/order.ts';
import type { Value } from '../protocol/records/value.ts';
import { howToStart } from './context.ts';
import { CommandError, explain, warn } from './terminal.ts';
import { untilDone, type Wait } from './waiting.ts';

/**
 * Whether `value` shows the action. `value` is the value in which the order of this action was carried out.
 */
export function tookEffect(action: Action, value: Value): boolean {
  switch (action.type) {
    case 'create-key':
      return value.keys.some((key) => key.name === action.name && isSameKey(key, action));
    case 'create-key-jointly':
      return value.keys.some(
        ({ name, kind, use }) => name === action.name && kind === action.kind && use === action.use,
      );
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

/** For each action, the command that shows whether it was carried out. */
const shownBy: Record<Action['type'], string> = {
  'create-key': 'holdfast key list',
  'create-key-jointly': 'holdfast key list',
  'destroy-key': 'holdfast key list',
  admit: 'holdfast peers',
  reinstate: 'holdfast peers',
  evict: 'holdfast peers',
  'force-evict': 'holdfast peers',
  'raise-threshold': 'holdfast status',
  'add-client': 'holdfast client list',
  'remove-client': 'holdfast client list',
};

/** The value in which an order of this number was carried out. Null while there is none. */
async function decidedIn(head: Value, sequence: number, daemon: ApiClient): Promise<Value | null> {
  if (head.lastOrder < sequence) return null;
  const since = await new History(head, daemon).since(({ lastOrder }) => lastOrder >= sequence);
  return since?.value ?? head;
}

type State =
  /** Only this command has the order, or the daemon has refused it. */
  | 'here'
  /** The daemon was asked to take the order, and has not answered. */
  | 'under way'
  | 'handed in'
  /** The group carried out another order with this number. */
  | 'superseded';

/** One order on its way to the group, and everything that the command says about its fate. */
export class HandingIn {
  readonly #command: Command;
  readonly #chain: VerifiedChain;
  readonly #daemon: ApiClient;
  readonly #note: string;
  #order: Order;
  #state: State = 'here';

  /** `note` is added to the line about an ending without an answer. */
  constructor(
    order: Order,
    of: { command: Command; chain: VerifiedChain; daemon: ApiClient; note?: string },
  ) {
    this.#order = order;
    this.#command = of.command;
    this.#chain = of.chain;
    this.#daemon = of.daemon;
    this.#note = of.note ?? '';
  }

  /** The order that `submit` hands in next or has handed in. */
  get current(): Order {
    return this.#order;
  }

  /** Whether the group may have the order. Then the order may take effect now or later. */
  get sent(): boolean {
    return this.#state === 'under way' || this.#state === 'handed in';
  }

  /** Replaces the order by another one with the same number. */
  replace(order: Order): void {
    this.#order = order;
    if (this.#state === 'handed in') this.#state = 'under way';
  }

  /**
   * The value in which the order was carried out; null while there is none.
   * @throws CommandError `failed` when the group carried out another order with its number
   */
  async decision(): Promise<Value | null> {
    const { sequence, actions } = this.#order.body;
    const value = await decidedIn(await this.#chain.head(), sequence, this.#daemon);
    if (value === null || actions.every((action) => tookEffect(action, value))) return value;
    this.#state = 'superseded';
    throw new CommandError(
      'failed',
      `another order with number ${sequence} was carried out instead; run this again`,
    );
  }

  /**
   * Hands the order in, once. Gives true the first time. An order that the daemon refuses the first time
   * counts as never handed in.
   * @throws ApiError
   */
  async submit(): Promise<boolean> {
    if (this.#state === 'handed in') return false;
    const first = this.#state === 'here';
    this.#state = 'under way';
    try {
      await this.#daemon.submitOrder(this.#order);
      this.#state = 'handed in';
      return first;
    } catch (error) {
      if (first && error instanceof ApiError && !error.unanswered) this.#state = 'here';
      throw error;
    }
  }

  /** The line for an ending without an answer. */
  get mayStill(): string {
    const { sequence, actions } = this.#order.body;
    const shows = [...new Set(actions.map(({ type }) => shownBy[type]))].join(' and ');
    return `order ${sequence} was handed in and may still take effect: ${shows} shows whether it has${this.#note}`;
  }

  /**
   * Waits until `check` gives something else than null. `late` gets the names of the missing members in
   * words, and gives the line for a timeout.
   * @throws CommandError, ApiError; with `mayStill` in its line when the group may have the order
   */
  async wait<T>(
    check: () => Promise<T | null>,
    { timeoutMs, begins, late }: Pick<Wait, 'timeoutMs' | 'begins' | 'late'>,
  ): Promise<T> {
    try {
      return await untilDone(this.#daemon, check, {
        timeoutMs,
        begins,
        comesBack: () => this.sent,
        stopped: () => (this.sent ? `stopped waiting; ${this.mayStill}` : 'stopped; nothing was handed in'),
        late: (missing) => `${late(missing)}; ${this.sent ? this.mayStill : 'nothing was handed in'}`,
      });
    } catch (error) {
      throw this.sent ? this.#ending(error) : error;
    }
  }

  /**
   * Runs the last part of a command, after the order was carried out. When `run` fails, the error says that
   * the order was carried out all the same.
   */
  async afterwards<T>({ epoch }: Value, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const explained = explain(error);
      if (explained === null) throw error;
      const { sequence } = this.#order.body;
      throw new CommandError(
        explained.outcome,
        `${explained.line}; order ${sequence} was carried out in epoch ${epoch}`,
      );
    }
  }

  #ending(error: unknown): unknown {
    if (error instanceof CommandError && error.message.includes(this.mayStill)) return error;
    if (error instanceof ApiError && error.code === 'not-running')
      return new CommandError(
        'not-running',
        `the daemon has stopped; ${this.mayStill}; start it again with: ${howToStart(this.#command)}`,
      );
    const explained = explain(error);
    if (explained !== null) return new CommandError(explained.outcome, `${explained.line}; ${this.mayStill}`);
    warn(this.mayStill);
    return error;
  }
}
