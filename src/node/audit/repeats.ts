/**
 * Bounds what repeated requests can make the audit log write: of each kind the first few in a minute get lines of their
 * own; the rest is counted, and the count is one line when the minute is over.
 */
import type { Clock } from '../clock.ts';
import type { AuditEntry } from './entry.ts';

type Repeated = Extract<AuditEntry, { event: 'repeated' }>;
/** Names of members and listed clients, and closed sets of codes: as many kinds as these, and no more. */
export type Kind = Pick<Repeated, 'what' | 'from' | 'outcome' | 'code'>;

const periodMs = 60_000;
const ownLinesMax = 10;

export class Repeats {
  readonly #clock: Clock;
  readonly #note: (entry: Repeated) => void;
  readonly #periods = new Map<string, { seen: number; close: () => void }>();
  #closed = false;

  constructor(options: { clock: Clock; note: (entry: Repeated) => void }) {
    this.#clock = options.clock;
    this.#note = options.note;
  }

  /** Whether this one gets a line of its own; else it is counted. `ownLines`: how many of its kind do. */
  admits(kind: Kind, ownLines = ownLinesMax): boolean {
    if (this.#closed) return false;
    const id = `${kind.what} ${kind.from} ${kind.outcome} ${kind.code}`;
    const period = this.#periods.get(id) ?? this.#begin(id, kind, ownLines);
    period.seen += 1;
    return period.seen <= ownLines;
  }

  /** Writes the counts now; what comes later is neither admitted nor counted. */
  close(): void {
    this.#closed = true;
    for (const { close } of [...this.#periods.values()]) close();
  }

  #begin(id: string, kind: Kind, ownLines: number) {
    const since = new Date(this.#clock.wallMs()).toISOString();
    const cancel = this.#clock.schedule(periodMs, () => period.close());
    const period = {
      seen: 0,
      close: () => {
        cancel();
        this.#periods.delete(id);
        const count = period.seen - ownLines;
        if (count > 0) this.#note({ event: 'repeated', ...kind, count, since });
      },
    };
    this.#periods.set(id, period);
    return period;
  }
}
