/**
 * The audit of the uses of keys: at the daemon that a client asked, and at each member that was asked for a
 * partial.
 */
import { hex, sameBytes } from '../../protocol/records/codec.ts';
import { hashOfUse, summaryOf, type UseRequest } from '../../protocol/records/use-request.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Clock } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import type { PartialAnswer, UseQuestion } from '../use/partial-messages.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditEntry, UseAsked } from './entry.ts';
import type { Kind, Repeats } from './repeats.ts';

/**
 * The log remembers an answer or a given partial for so long, and so many of them. The same one again is only
 * counted.
 */
const givenMs = 60_000;
const givenMax = 10_000;

interface Given {
  atMs: number;
  /** Settles when the line is durable, or rejects when it is not. */
  written: Promise<void>;
}

/** Writes lines for uses of keys, and holds answers back until their lines are durable. */
export class UseAudit {
  readonly #log: AuditLog;
  readonly #clock: Clock;
  readonly #repeats: Repeats;
  /**
   * Partials given lately (by request, epoch and asker) and answers (by request, epoch and signers), oldest
   * first.
   */
  readonly #given = new Map<string, Given>();

  constructor(options: { log: AuditLog; clock: Clock; repeats: Repeats }) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#repeats = options.repeats;
  }

  /**
   * Runs a client's request. The answer leaves when its line is durable, and without its line there is no
   * answer.
   * @throws DaemonError (as a rejection) `unwritable` when the log takes no line, and the errors of `run`
   */
  async use<Answer extends { epoch: number }>(
    request: UseRequest,
    options: {
      value: Value;
      run: () => Promise<Answer>;
      signersOf: (answer: Answer) => string[];
    },
  ): Promise<Answer> {
    const { value, run, signersOf } = options;
    const asked = describeUse(value, request);
    // This is checked first, so that other members do not work for an answer that could not leave.
    if (this.#log.trouble !== null) throw unwritable(this.#log.trouble);
    let answer: Answer;
    try {
      answer = await run();
    } catch (error) {
      const isRefused = error instanceof DaemonError && error.code === 'refused';
      const outcome = isRefused ? 'refused' : 'failed';
      const code = isRefused ? refusalOf(error) : error instanceof DaemonError ? error.code : 'internal';
      // Each listed client has lines of its own, and all other clients share theirs. So nobody can hide
      // another client's refusals.
      if (this.#repeats.admits({ what: 'use', from: asked.clientName ?? 'unlisted', outcome, code }))
        this.#log.note({ event: 'use', outcome, epoch: null, signers: [], code, ...asked });
      throw error;
    }
    const { epoch } = answer;
    const signers = signersOf(answer);
    try {
      await this.#writeOnce(
        `use ${asked.request} ${epoch} ${signers.join()}`,
        { what: 'use', from: asked.clientName ?? 'unlisted', outcome: 'answered again', code: null },
        { event: 'use', outcome: 'answered', epoch, signers, code: null, ...asked },
      );
    } catch (error) {
      throw unwritable(error as Error);
    }
    return answer;
  }

  /**
   * The answer of this peer to the member named `from`. A partial leaves when its line is durable, and is
   * refused otherwise.
   */
  async partial(
    from: string,
    asked: UseQuestion,
    options: { value: Value; answer: PartialAnswer },
  ): Promise<PartialAnswer> {
    const { answer, value } = options;
    const { epoch, request } = asked;
    if (answer.type === 'gone' || answer.type === 'absent') return answer;
    const about = describeUse(value, request);
    if (answer.type === 'refused') {
      const { code } = answer;
      if (this.#repeats.admits({ what: 'partial', from, outcome: 'refused', code }))
        this.#log.note({ event: 'partial', from, outcome: 'refused', epoch, code, ...about });
      return answer;
    }
    try {
      await this.#writeOnce(
        `partial ${about.request} ${epoch} ${from}`,
        { what: 'partial', from, outcome: 'given again', code: null },
        { event: 'partial', from, outcome: 'given', epoch, code: null, ...about },
      );
      return answer;
    } catch {
      return { type: 'refused', code: 'no-audit', why: 'this peer cannot write its audit log at present' };
    }
  }

  /**
   * Writes a line, or counts it when the same one was written lately. Resolves when the line is durable.
   * @throws StoreError (as a rejection)
   */
  async #writeOnce(id: string, again: Kind, entry: AuditEntry): Promise<void> {
    const before = this.#given.get(id);
    if (before !== undefined) this.#repeats.admits(again, 0);
    const given = before ?? { atMs: this.#clock.nowMs(), written: this.#log.append(entry) };
    this.#remember(id, given);
    try {
      await given.written;
    } catch (error) {
      this.#given.delete(id);
      throw error;
    }
  }

  /** Remembers a line, and forgets old ones and those over the bound. */
  #remember(id: string, given: Given): void {
    for (const [old, { atMs }] of this.#given) {
      if (atMs >= this.#clock.nowMs() - givenMs && this.#given.size < givenMax) break;
      this.#given.delete(old);
    }
    this.#given.set(id, given);
  }
}

/** The code of the refusal: the one that most members gave, or the one of this daemon. */
function refusalOf(error: DaemonError): string {
  const named = new Map<string, number>();
  for (const code of Object.values(error.details)) named.set(code, (named.get(code) ?? 0) + 1);
  const [most] = [...named].toSorted(([, one], [, other]) => other - one);
  return most?.[0] ?? error.code;
}

const unwritable = (reason: Error): DaemonError =>
  new DaemonError(
    'unwritable',
    `this peer answers nothing that it cannot write into its audit log: ${reason.message}; ask another peer meanwhile`,
  );

function describeUse(value: Value, { body }: UseRequest): UseAsked {
  const { scheme, hash, digest } = summaryOf(body);
  return {
    client: hex(body.client),
    clientName: value.clients.find(({ publicKey }) => sameBytes(publicKey, body.client))?.name ?? null,
    key: hex(body.key),
    keyName: value.keys.find(({ id }) => sameBytes(id, body.key))?.name ?? null,
    operation: body.operation,
    scheme,
    hash,
    digest: hex(digest),
    request: hex(hashOfUse(body)),
  };
}
