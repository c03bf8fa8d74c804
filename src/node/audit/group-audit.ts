/**
 * The audit of changes of the group: orders when they become known here, and epochs when they are decided and
 * retired.
 */

import type { CoreState } from '../../protocol/machine/state.ts';
import { hex } from '../../protocol/records/codec.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import { hashOfOrder, type Order } from '../../protocol/records/order.ts';
import { DaemonError } from '../errors.ts';
import type { AuditEntry } from './entry.ts';
import type { Repeats } from './repeats.ts';

type OrderEntry = Extract<AuditEntry, { event: 'order' }>;

/** Writes lines for orders and epochs. */
export class GroupAudit {
  readonly #note: (entry: AuditEntry) => void;
  readonly #repeats: Repeats;
  #seen: { head: number; retired: number; pending: ReadonlyMap<string, Order> } | null = null;
  /**
   * Orders that somebody hands in at this daemon right now. Their lines name the operator and not the group.
   */
  readonly #handedIn = new Set<string>();

  constructor(options: { note: (entry: AuditEntry) => void; repeats: Repeats }) {
    this.#note = options.note;
    this.#repeats = options.repeats;
  }

  /**
   * Compares the durable state with the last one, and writes lines about the differences. The first call
   * writes nothing.
   */
  look({ durable }: CoreState): void {
    const { head, retired } = durable.own;
    const pending = Object.entries(durable.orders);
    const seen = this.#seen;
    this.#seen = { head, retired, pending: new Map(pending) };
    if (seen === null) return;
    for (const [sequence, order] of pending)
      if (!seen.pending.has(sequence) && !this.#handedIn.has(hex(hashOfOrder(order))))
        this.#note(orderEntry(order, 'group', null));
    const reached = (phase: 'decided' | 'retired', from: number, to: number): void => {
      for (let epoch = from + 1; epoch <= to; epoch += 1) {
        const note = durable.notes[epoch];
        if (note !== undefined) this.#note({ event: 'epoch', phase, epoch, value: hex(note.value) });
      }
    };
    reached('decided', seen.head, head);
    reached('retired', seen.retired, retired);
  }

  /**
   * Hands in an operator's order at this daemon, and writes a line with the outcome.
   * @throws the errors of `submit` (as a rejection)
   */
  async handIn(order: Order, submit: () => Promise<void>): Promise<void> {
    const id = hex(hashOfOrder(order));
    const known = this.#isPending(order, id);
    this.#handedIn.add(id);
    try {
      await submit();
      // While an order is pending, the group accepts the same order again from anyone who has a copy of it.
      if (known)
        this.#repeats.admits({ what: 'order', from: 'operator', outcome: 'accepted again', code: null }, 0);
      else this.#note(orderEntry(order, 'operator', null));
    } catch (error) {
      const code = refusedBy(error);
      if (
        code !== null &&
        this.#repeats.admits({ what: 'order', from: 'operator', outcome: 'refused', code })
      )
        this.#note(orderEntry(order, 'operator', code));
      throw error;
    } finally {
      this.#handedIn.delete(id);
    }
  }

  #isPending(order: Order, id: string): boolean {
    const pending = this.#seen?.pending.get(String(order.body.sequence));
    return pending !== undefined && hex(hashOfOrder(pending)) === id;
  }
}

/** The code of the refusing rule. Null when the error is no refusal. */
function refusedBy(error: unknown): string | null {
  if (error instanceof ProtocolError) return error.code;
  if (error instanceof DaemonError) return error.details.code ?? error.code;
  return null;
}

function orderEntry(order: Order, by: OrderEntry['by'], code: string | null): OrderEntry {
  const { sequence } = order.body;
  const actions = order.body.actions.map(({ type }) => type);
  const outcome = code === null ? 'accepted' : 'refused';
  return { event: 'order', by, outcome, order: hex(hashOfOrder(order)), sequence, actions, code };
}
