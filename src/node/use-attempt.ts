/**
 * One attempt to use a key: asks members of one epoch for partials until enough are there, asks more when some are slow
 * or refuse, and asks for proofs only when a combination failed (protocol §2 "Use").
 */
import { decode, encode, sameBytes } from '../protocol/codec.ts';
import type { KeySetting } from '../protocol/io.ts';
import type { Member } from '../protocol/roster.ts';
import type { CoreState } from '../protocol/state.ts';
import type { UseRequest } from '../protocol/use-request.ts';
import type { Value } from '../protocol/value.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Transport } from './network/transport.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswerBytesMax,
  partialAnswerSchema,
} from './use-messages.ts';
import { DaemonError } from './view.ts';

/** After this long without enough partials, everyone who has not been asked yet is asked too. */
const hedgeMs = 400;

/** A member's partial in one attempt. */
export interface Given {
  by: Member;
  answer: Extract<PartialAnswer, { type: 'partial' | 'sealed-partial' }>;
}

/** What was given, with what is needed to put it together. */
export interface Collected {
  value: Value;
  setting: KeySetting;
  commitments: Uint8Array[];
  /** `k` or more. */
  given: readonly Given[];
}

export interface AttemptOptions<Answer> {
  state: () => CoreState;
  transport: Transport;
  clock: Clock;
  log: Log;
  request: UseRequest;
  /** How this peer answers itself. */
  own: (asked: PartialRequest) => Promise<PartialAnswer>;
  /** From everybody who answers before `signal` aborts, with proofs; else from the first `k` that will do. */
  everybody: boolean;
  /** Null when these partials do not combine; culprits, by index, as their proofs show. */
  complete: (collected: Collected) => Promise<{ answer: Answer | null; culprits: readonly number[] }>;
  signal: AbortSignal;
}

/** One attempt, in one epoch. */
export class Attempt<Answer> {
  readonly #options: AttemptOptions<Answer>;
  readonly #value: Value;
  readonly #setting: KeySetting;
  readonly #commitments: Uint8Array[];
  readonly #given = new Map<number, Given>();
  readonly #refusals = new Map<string, { code: string; why: string }>();
  readonly #liars = new Set<number>();
  #prove: boolean;
  #newer = false;

  constructor(options: AttemptOptions<Answer>) {
    this.#options = options;
    this.#prove = options.everybody;
    const { request } = options;
    const core = options.state();
    // The oldest epoch that is not erased here: everybody else still has it, or says `gone`, and then we have moved too.
    const link = core.durable.links[core.durable.own.retired] ?? core.durable.links[core.durable.own.head];
    if (link === undefined) throw new DaemonError('not-a-member', 'this peer knows no value yet');
    const at = link.value.keys.findIndex((key) => sameBytes(key.id, request.body.key));
    const newest = core.durable.links[core.durable.own.head] ?? link;
    const from = at >= 0 ? link : newest;
    const position = from.value.keys.findIndex((key) => sameBytes(key.id, request.body.key));
    const key = from.value.keys[position];
    if (key === undefined)
      throw new DaemonError('refused', 'no key with this id exists', { code: 'unknown-key' });
    this.#value = from.value;
    this.#setting = { key, threshold: from.value.threshold, membersMax: core.genesis.membersMax };
    this.#commitments = from.commitments[position] as Uint8Array[];
  }

  /** Null when too few answered, or the signal aborted before; `failure` says why. */
  async run(): Promise<Answer | null> {
    const answer = await this.#collect();
    if (answer !== null || this.#options.everybody || !this.#prove) return answer;
    // A combination failed: ask again with proofs, name and leave out whoever fails, and combine again (§2).
    this.#given.clear();
    return this.#collect();
  }

  /** Asks `k` members, then the rest when some fail or are slow, until `k` partials combine; or everybody at once. */
  #collect(): Promise<Answer | null> {
    const { transport, clock, signal, everybody } = this.#options;
    const reachable = new Set([transport.peerId, ...transport.authenticated()]);
    const candidates = this.#shuffled(
      this.#value.roster.filter((member) => reachable.has(member.peer) && !this.#liars.has(member.index)),
    );
    const k = this.#value.threshold;
    return new Promise((resolve, reject) => {
      let open = 0;
      let settled = false;
      const finish = (answer: Answer | null) => {
        if (settled) return;
        settled = true;
        cancelHedge();
        signal.removeEventListener('abort', onEnd);
        resolve(answer);
      };
      const fail = (error: unknown) => {
        settled = true;
        cancelHedge();
        reject(error);
      };
      const tryComplete = async () => {
        const answer = await this.#complete();
        if (answer === null && this.#prove) return;
        // Without proofs nobody knows who spoiled it.
        if (answer === null) this.#prove = true;
        finish(answer);
      };
      /** Nobody else will answer, or there is no more time. */
      const onEnd = () => {
        if (!everybody || this.#given.size < k) finish(null);
        else if (!settled) void tryComplete().then(() => finish(null), fail);
      };
      const ask = (count: number) => {
        for (const member of candidates.splice(0, count)) {
          open += 1;
          void this.#ask(member)
            .then(async (given) => {
              if (given === null) return ask(1);
              this.#given.set(member.index, given);
              if (!settled && !everybody && this.#given.size >= k) await tryComplete();
            })
            .catch(fail)
            .finally(() => {
              open -= 1;
              if (open === 0 && candidates.length === 0) onEnd();
            });
        }
      };
      const cancelHedge = clock.schedule(hedgeMs, () => ask(candidates.length));
      signal.addEventListener('abort', onEnd);
      if (signal.aborted || candidates.length === 0) return finish(null);
      ask(this.#prove ? candidates.length : k);
    });
  }

  async #ask(member: Member): Promise<Given | null> {
    const { transport, log, request, own, signal } = this.#options;
    const asked: PartialRequest = { epoch: this.#value.epoch, request, prove: this.#prove };
    let answer: PartialAnswer;
    try {
      answer =
        member.peer === transport.peerId
          ? await own(asked)
          : decode(
              partialAnswerSchema,
              await transport.request(member.peer, encode(asked), { signal }),
              partialAnswerBytesMax,
            );
    } catch (error) {
      log.debug({ peer: member.name, err: error }, 'no partial');
      return null;
    }
    switch (answer.type) {
      case 'partial':
      case 'sealed-partial':
        if ((answer.type === 'partial') === (request.body.operation === 'sign'))
          return { by: member, answer };
        log.warn({ peer: member.name }, 'an answer to another question');
        return null;
      case 'refused':
        this.#refusals.set(member.name, answer);
        return null;
      case 'gone':
      case 'absent':
        if (answer.now > this.#value.epoch) this.#newer = true;
        return null;
    }
  }

  async #complete(): Promise<Answer | null> {
    const { complete, log } = this.#options;
    const given = [...this.#given.values()];
    const { answer, culprits } = await complete({
      value: this.#value,
      setting: this.#setting,
      commitments: this.#commitments,
      given,
    });
    if (this.#prove)
      for (const culprit of culprits) {
        this.#liars.add(culprit);
        this.#given.delete(culprit);
        log.warn({ index: culprit, epoch: this.#value.epoch }, 'a false partial');
      }
    return answer;
  }

  /** This peer first, then the others in an order that changes with the request, so that load spreads. */
  #shuffled(members: Member[]): Member[] {
    const { transport, request } = this.#options;
    const turn = (request.body.nonce[0] ?? 0) % Math.max(1, members.length);
    const turned = [...members.slice(turn), ...members.slice(0, turn)];
    return [
      ...turned.filter(({ peer }) => peer === transport.peerId),
      ...turned.filter(({ peer }) => peer !== transport.peerId),
    ];
  }

  /** What to tell the client when time is up. */
  failure(): DaemonError {
    const { roster, threshold } = this.#value;
    const gave = new Set([...this.#given.values()].map(({ by }) => by.name));
    if (roster.length - this.#refusals.size < threshold) {
      const [first] = this.#refusals.values();
      const codes = Object.fromEntries([...this.#refusals].map(([name, { code }]) => [name, code]));
      return new DaemonError('refused', first?.why ?? 'the request was refused', codes);
    }
    const missing = roster.filter(({ name }) => !gave.has(name));
    const details = Object.fromEntries(
      missing.map(({ name, index }) => [
        name,
        this.#refusals.get(name)?.code ?? (this.#liars.has(index) ? 'lied' : 'silent'),
      ]),
    );
    const names = missing.map(({ name }) => name).join(', ');
    const why = this.#newer ? ' (an epoch change was under way)' : '';
    return new DaemonError(
      'not-enough-peers',
      `${gave.size} of the ${threshold} peers needed answered${why}; missing: ${names}`,
      details,
    );
  }
}
