/**
 * What is known of an order from the moment it is handed in. A daemon that goes away is waited for, and the
 * order is handed in to it again; every ending short of an answer says that the order may still take effect,
 * and what shows it.
 */

import type { Command } from 'commander';
import { type ApiClient, ApiError } from '../client/api-client.ts';
import { History } from '../client/history.ts';
import type { VerifiedChain } from '../client/verified-chain.ts';
import { sameBytes } from '../protocol/records/codec.ts';
import { isSameKey } from '../protocol/records/draft.ts';
import type { Action, Order } from '../protocol/records/order.ts';
import type { Value } from '../protocol/records/value.ts';
import { howToStart } from './context.ts';
import { CommandError, explain, warn } from './terminal.ts';
import { untilDone, type Wait } from './waiting.ts';

/** Whether `value`, in which its order was carried out, shows the action. */
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

/** Which command shows whether an action was carried out. */
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

/** The value in which the order of this number was carried out; null while none was. */
async function decidedIn(head: Value, sequence: number, daemon: ApiClient): Promise<Value | null> {
  if (head.lastOrder < sequence) return null;
  const since = await new History(head, daemon).since(({ lastOrder }) => lastOrder >= sequence);
  return since?.value ?? head;
}

type State =
  /** Nobody but this command has it, or the daemon has refused it. */
  | 'here'
  /** The daemon was asked to take it, and has not answered. */
  | 'under way'
  | 'handed in'
  /** Another order with its number was carried out. */
  | 'superseded';

export class HandingIn {
  readonly #command: Command;
  readonly #chain: VerifiedChain;
  readonly #daemon: ApiClient;
  readonly #note: string;
  #order: Order;
  #state: State = 'here';

  /** `note`: more to say where the ending is unknown. */
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

  get current(): Order {
    return this.#order;
  }

  /** Whether the group may have it: it takes effect some day, or has. */
  get sent(): boolean {
    return this.#state === 'under way' || this.#state === 'handed in';
  }

  /** Another order takes the place of the first, with the same number. */
  replace(order: Order): void {
    this.#order = order;
    if (this.#state === 'handed in') this.#state = 'under way';
  }

  /** The value in which the order was carried out; null as long as none was. Throws `CommandError('failed')`. */
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

  /** Hands the order in, once; true when this was the first time. What the daemon then refuses was never handed in. */
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

  /** What an ending that is no answer has to say. */
  get mayStill(): string {
    const { sequence, actions } = this.#order.body;
    const shows = [...new Set(actions.map(({ type }) => shownBy[type]))].join(' and ');
    return `order ${sequence} was handed in and may still take effect: ${shows} shows whether it has${this.#note}`;
  }

  /** Waits until `check` has an answer. `late`: what the group has not done, with who is missing. */
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

  /** What is done once the order was carried out: where that fails, the order has not. */
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
