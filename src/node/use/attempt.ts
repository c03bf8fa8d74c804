/**
 * One attempt to use a key: asks members of one epoch for partials until enough are there, asks more when some are slow
 * or refuse, and asks for proofs only when a combination failed (protocol §2 "Use").
 */

import type { KeySetting } from '../../protocol/machine/io.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { decode, encode, sameBytes } from '../../protocol/records/codec.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import type { Member } from '../../protocol/records/roster.ts';
import type { UseRequest } from '../../protocol/records/use-request.ts';
import type { Value } from '../../protocol/records/value.ts';
import { type Clock, pause } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Transport } from '../network/transport.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswerBytesMax,
  partialAnswerSchema,
} from './partial-messages.ts';
import type { PeerPenalties } from './peer-penalties.ts';

/** After this long without enough partials, everyone who has not been asked yet is asked too. */
const hedgeMs = 400;
/**
 * How long everybody else may still answer when enough have: one that is silent must not cost all the time
 * there is.
 */
const graceMs = 1500;

/** Refusals of members that may only be behind, or whose disk is full: the next attempt may find them better. */
const passing: ReadonlySet<string> = new Set(['unknown-client', 'unknown-key', 'not-allowed', 'no-audit']);

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
  /** Of the combination that failed before, to find out who spoiled it. */
  failed: readonly Given[];
}

export interface AttemptOptions<Answer> {
  state: () => CoreState;
  transport: Transport;
  clock: Clock;
  log: Log;
  penalties: PeerPenalties;
  request: UseRequest;
  /** How this peer answers itself. */
  own: (asked: PartialRequest) => Promise<PartialAnswer>;
  /**
   * From everybody who answers at most a moment after the first `k`, with proofs; else from the first `k`
   * that will do.
   */
  everybody: boolean;
  /**
   * Null when these partials do not combine; culprits, by index, as proofs show, or a signature after one that failed;
   * suspects, whose proofs pass and whose partials spoil a signature all the same.
   */
  complete: (
    collected: Collected,
  ) => Promise<{ answer: Answer | null; culprits: readonly number[]; suspects: readonly number[] }>;
  signal: AbortSignal;
}

/** One attempt, in one epoch. */
export class Attempt<Answer> {
  readonly #options: AttemptOptions<Answer>;
  readonly #value: Value;
  readonly #setting: KeySetting;
  readonly #commitments: Uint8Array[];
  readonly #given = new Map<number, Given>();
  /** What was given without proofs and did not combine, one of them at least false. */
  readonly #failed = new Map<number, Given>();
  readonly #refusals = new Map<string, { code: string; why: string }>();
  readonly #liars = new Set<number>();
  /** Peers that were asked and have not answered yet. */
  readonly #asked = new Set<string>();
  #prove: boolean;
  #newer = false;

  constructor(options: AttemptOptions<Answer>) {
    this.#options = options;
    this.#prove = options.everybody;
    const { request } = options;
    const core = options.state();
    // The oldest epoch that is not erased here: everybody else still has it, or says `gone`, and then we have
    // moved too.
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
    for (const [index, given] of this.#given) this.#failed.set(index, given);
    this.#given.clear();
    return this.#collect();
  }

  /** The answer as soon as `k` partials combine, or from everybody's; null when too few are given before time is up. */
  async #collect(): Promise<Answer | null> {
    const { clock, signal, everybody } = this.#options;
    const k = this.#value.threshold;
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
    const { transport, clock, penalties } = this.#options;
    const candidates = this.#candidates();
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
    ask(this.#prove ? candidates.length : this.#value.threshold);
    while (open.size > 0) {
      const next = await Promise.race([timer, ...open.values()]);
      if (until.aborted) return;
      if (next === undefined) {
        for (const peer of this.#asked) if (peer !== transport.peerId) penalties.penalize(peer, 'silent');
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

  async #ask(member: Member): Promise<Given | null> {
    const { transport, log, penalties, request, own, signal } = this.#options;
    const asked: PartialRequest = { epoch: this.#value.epoch, request, prove: this.#prove };
    let answer: PartialAnswer;
    this.#asked.add(member.peer);
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
      if (error instanceof ProtocolError) this.#lied(member, 'an answer that is none');
      else log.debug({ peer: member.name, err: error }, 'no partial');
      return null;
    } finally {
      this.#asked.delete(member.peer);
    }
    penalties.answered(member.peer);
    switch (answer.type) {
      case 'partial':
      case 'sealed-partial':
        if ((answer.type === 'partial') === (request.body.operation === 'sign'))
          return { by: member, answer };
        this.#lied(member, 'an answer to another question');
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
    const { answer, culprits, suspects } = await this.#options.complete({
      value: this.#value,
      setting: this.#setting,
      commitments: this.#commitments,
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
      this.#liars.add(culprit);
      this.#given.delete(culprit);
      // Named once is enough.
      this.#failed.delete(culprit);
      this.#lied(liar.by, 'a false partial');
    }
    return answer;
  }

  #lied(member: Member, what: string): void {
    const { log, penalties } = this.#options;
    penalties.penalize(member.peer, 'lied');
    log.warn({ peer: member.name, index: member.index, epoch: this.#value.epoch }, what);
  }

  /**
   * Whom to ask: this peer first, then the others in an order that changes with the request, so that load
   * spreads; those that spoiled or held up others last.
   */
  #candidates(): Member[] {
    const { transport, penalties, request } = this.#options;
    const reachable = new Set([transport.peerId, ...transport.authenticated()]);
    const members = this.#value.roster.filter(
      ({ peer, index }) => reachable.has(peer) && !this.#liars.has(index),
    );
    const turn = (request.body.nonce[0] ?? 0) % Math.max(1, members.length);
    const turned = [...members.slice(turn), ...members.slice(0, turn)];
    const placeOf = ({ peer }: Member): number =>
      peer === transport.peerId ? 0 : penalties.has(peer) ? 2 : 1;
    return turned.toSorted((one, other) => placeOf(one) - placeOf(other));
  }

  /** Whether so many refused for good that asking again would change nothing. */
  get isRefused(): boolean {
    const { roster, threshold } = this.#value;
    const forGood = [...this.#refusals.values()].filter(({ code }) => !passing.has(code));
    return roster.length - forGood.length < threshold;
  }

  /** What to tell the client when time is up, or asking again would not help. */
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
