/**
 * Bounds the lines that repeated requests can cause. In each minute the first few events of a kind have lines
 * of their own. Further ones are counted, and one line has the count when the minute is over.
 */
import type { Clock } from '../clock.ts';
import type { AuditEntry } from './entry.ts';

type Repeated = Extract<AuditEntry, { event: 'repeated' }>;
/**
 * A kind of event. Names are those of members and listed clients, and codes are a closed set. So the number
 * of kinds is bounded.
 */
export type Kind = Pick<Repeated, 'what' | 'from' | 'outcome' | 'code'>;

const periodMs = 60_000;
const ownLinesMax = 10;

/** Counts events by kind. */
export class Repeats {
  readonly #clock: Clock;
  readonly #note: (entry: Repeated) => void;
  readonly #periods = new Map<string, { seen: number; close: () => void }>();
  #closed = false;

  constructor(options: { clock: Clock; note: (entry: Repeated) => void }) {
    this.#clock = options.clock;
    this.#note = options.note;
  }

  /**
   * Whether this event has a line of its own. Otherwise it is counted. `ownLines` is the number of such lines
   * of its kind in a minute.
   */
  admits(kind: Kind, ownLines = ownLinesMax): boolean {
    if (this.#closed) return false;
    const id = `${kind.what} ${kind.from} ${kind.outcome} ${kind.code}`;
    const period = this.#periods.get(id) ?? this.#begin(id, kind, ownLines);
    period.seen += 1;
    return period.seen <= ownLines;
  }

  /** Writes the counts now. Later events are neither written nor counted. */
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
