/**
 * One attempt to use a key of which any `k` partials combine: asks members of one epoch for partials until
 * enough are there, asks more when some are slow or refuse, and asks for proofs only when a combination
 * failed (protocol §2 "Use").
 */
import type { Member } from '../../protocol/records/roster.ts';
import { pause } from '../clock.ts';
import type { DaemonError } from '../errors.ts';
import { type Asking, type Attempt, type AttemptOptions, type Given, hedgeMs } from './asking.ts';
import type { PartialRequest } from './partial-messages.ts';

/**
 * How long everybody else may still answer when enough have: one that is silent must not cost all the time
 * there is.
 */
const graceMs = 1500;

/** One attempt, in one epoch. */
export class OneRound<Answer> implements Attempt<Answer> {
  readonly #options: AttemptOptions<Answer>;
  readonly #asking: Asking;
  readonly #given = new Map<number, Given>();
  /** What was given without proofs and did not combine, one of them at least false. */
  readonly #failed = new Map<number, Given>();
  #prove: boolean;

  constructor(options: AttemptOptions<Answer>, asking: Asking) {
    this.#options = options;
    this.#asking = asking;
    this.#prove = options.everybody;
  }

  async run(): Promise<Answer | null> {
    const answer = await this.#collect();
    if (answer !== null || this.#options.everybody || !this.#prove) return answer;
    // A combination failed: ask again with proofs, name and leave out whoever fails, and combine again (§2).
    for (const [index, given] of this.#given) this.#failed.set(index, given);
    this.#given.clear();
    return this.#collect();
  }

  /**
   * The answer as soon as `k` partials combine, or from everybody's; null when too few are given before time
   * is up.
   */
  async #collect(): Promise<Answer | null> {
    const { clock, signal, everybody } = this.#options;
    const k = this.#asking.value.threshold;
    const proving = this.#prove;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    try {
      for await (const given of this.#partials(until)) {
        this.#given.set(given.by.index, given);
        if (this.#given.size < k) continue;
        if (everybody) {
          if (this.#given.size === k) void pause(clock, graceMs, until).then(() => over.abort());
          continue;
        }
        const answer = await this.#complete();
        if (answer !== null) return answer;
        // Without proofs nobody knows who spoiled it, and more partials would not tell.
        if (!proving) {
          this.#prove = true;
          return null;
        }
      }
      return everybody && this.#given.size >= k ? await this.#complete() : null;
    } finally {
      over.abort();
    }
  }

  /**
   * Partials as they come. `k` members are asked (all of them for proofs), another for each that gives none,
   * and the rest when some are slow. What comes after the end reaches nobody: without a proof it would pass
   * for a lie later.
   */
  async *#partials(until: AbortSignal): AsyncGenerator<Given> {
    const { clock } = this.#options;
    const candidates = this.#asking.candidates();
    const open = new Map<Member, Promise<{ by: Member; given: Given | null }>>();
    const ask = (count: number) => {
      for (const by of candidates.splice(0, count))
        open.set(
          by,
          this.#ask(by).then((given) => ({ by, given })),
        );
    };
    if (until.aborted) return;
    let timer = pause(clock, hedgeMs, until);
    ask(this.#prove ? candidates.length : this.#asking.value.threshold);
    while (open.size > 0) {
      const next = await Promise.race([timer, ...open.values()]);
      if (until.aborted) return;
      if (next === undefined) {
        this.#asking.penalizeSilent();
        ask(candidates.length);
        // From here on only the end is waited for.
        timer = new Promise((resolve) => until.addEventListener('abort', () => resolve()));
      } else {
        open.delete(next.by);
        if (next.given === null) ask(1);
        else yield next.given;
      }
    }
  }

  async #ask(by: Member): Promise<Given | null> {
    const { value, partialType } = this.#asking;
    const { request } = this.#options;
    const asked: PartialRequest = { type: 'partial', epoch: value.epoch, request, prove: this.#prove };
    const answer = await this.#asking.ask(by, asked, [partialType]);
    return answer && { by, answer };
  }

  async #complete(): Promise<Answer | null> {
    const { value, setting, commitments } = this.#asking;
    const { answer, culprits, suspects } = await this.#options.complete({
      ...{ value, setting, commitments, session: null },
      given: [...this.#given.values()],
      failed: [...this.#failed.values()],
    });
    if (!this.#prove) return answer;
    // Asked last from now on, and no more: two that lie together can make a third one look false.
    for (const suspect of suspects)
      if (!culprits.includes(suspect)) {
        const given = this.#given.get(suspect);
        if (given !== undefined) this.#options.penalties.penalize(given.by.peer, 'suspected');
      }
    for (const culprit of culprits) {
      const liar = this.#given.get(culprit) ?? this.#failed.get(culprit);
      if (liar === undefined) continue;
      this.#given.delete(culprit);
      // Named once is enough.
      this.#failed.delete(culprit);
      this.#asking.exclude(liar.by);
    }
    return answer;
  }

  get isRefused(): boolean {
    return this.#asking.isRefused;
  }

  failure(): DaemonError {
    return this.#asking.failure(new Set([...this.#given.values()].map(({ by }) => by.name)));
  }
}
