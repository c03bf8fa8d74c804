/** Everything that one peer writes into its audit log. README.md lists the events. */
import type { CoreState } from '../../protocol/machine/state.ts';
import type { Order } from '../../protocol/records/order.ts';
import { decodeStored, encodeStored } from '../../protocol/records/stored.ts';
import type { UseRequest } from '../../protocol/records/use-request.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Clock } from '../clock.ts';
import type { PartialAnswer, UseQuestion } from '../use/partial-messages.ts';
import { AuditLog, type AuditLogOptions } from './audit-log.ts';
import { type AuditEntry, type AuditExtent, auditMemorySchema } from './entry.ts';
import { GroupAudit } from './group-audit.ts';
import { Repeats } from './repeats.ts';
import { UseAudit } from './use-audit.ts';

/** The store's record about the beginning and the end of the log. It is not part of the core's state. */
export const auditRecord = 'audit';

interface AuditOptions extends Omit<AuditLogOptions, 'wallMs' | 'remembered' | 'remember'> {
  clock: Clock;
  /** The store's record. Undefined when there is none. */
  remembered: Uint8Array | undefined;
  remember: (record: Uint8Array) => Promise<void>;
}

/** The audit log of a daemon. */
export class Audit {
  readonly #log: AuditLog;
  readonly #repeats: Repeats;
  readonly #uses: UseAudit;
  readonly #group: GroupAudit;

  private constructor(log: AuditLog, clock: Clock) {
    this.#log = log;
    const note = (entry: AuditEntry): void => log.note(entry);
    this.#repeats = new Repeats({ clock, note });
    this.#uses = new UseAudit({ log, clock, repeats: this.#repeats });
    this.#group = new GroupAudit({ note, repeats: this.#repeats });
  }

  /** Opens the log. @throws StoreError (as a rejection) */
  static async open({ clock, remembered, remember, ...options }: AuditOptions): Promise<Audit> {
    const log = await AuditLog.open({
      ...options,
      wallMs: () => clock.wallMs(),
      remembered: remembered === undefined ? null : auditMemorySchema.parse(decodeStored(remembered)),
      remember: (memory) => remember(encodeStored(memory)),
    });
    return new Audit(log, clock);
  }

  /** The beginning and the end of the log. All lines between them are durable. */
  get extent(): AuditExtent {
    return this.#log.extent;
  }

  /** The changes and removals that were found since the start, in words. Null when there are none. */
  get damage(): string | null {
    return this.#log.damage;
  }

  note(entry: AuditEntry): void {
    this.#log.note(entry);
  }

  look(state: CoreState): void {
    this.#group.look(state);
  }

  handIn(order: Order, submit: () => Promise<void>): Promise<void> {
    return this.#group.handIn(order, submit);
  }

  use<Answer extends { epoch: number }>(
    request: UseRequest,
    options: { value: Value; run: () => Promise<Answer>; signersOf: (answer: Answer) => string[] },
  ): Promise<Answer> {
    return this.#uses.use(request, options);
  }

  partial(
    from: string,
    asked: UseQuestion,
    options: { value: Value; answer: PartialAnswer },
  ): Promise<PartialAnswer> {
    return this.#uses.partial(from, asked, options);
  }

  /** Writes the counts of repeated events, and a last line. */
  async close(): Promise<void> {
    this.#repeats.close();
    this.#log.note({ event: 'stop' });
    await this.#log.close();
  }
}
