/**
 * Members of one epoch, asked to use a key: whom to ask first, what each said, and what to tell the client
 * when too few gave anything. Both ways to use a key (`one-round.ts`, `two-rounds.ts`) ask through this.
 */
import type { KeySetting } from '../../protocol/machine/io.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { sameBytes } from '../../protocol/records/codec.ts';
import { isOfOtherVersion, ProtocolError } from '../../protocol/records/errors.ts';
import type { Member } from '../../protocol/records/roster.ts';
import { checkUse, UseRefusal, type UseRequest } from '../../protocol/records/use-request.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Clock } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import type { CommitmentBy } from '../jobs/use-jobs.ts';
import type { Log } from '../log.ts';
import type { Transport } from '../network/transport.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswerBytesMax,
  partialAnswers,
  partialRequests,
} from './partial-messages.ts';
import type { PeerPenalties } from './peer-penalties.ts';

/** After this long without enough answers, the coordinator asks every member that it has not asked yet. */
export const hedgeMs = 400;

/**
 * Refusals of members that may only be behind, or whose disk is full: the next attempt may find them better.
 */
const passing: ReadonlySet<string> = new Set([
  ...['unknown-client', 'unknown-key', 'not-allowed', 'no-audit'],
  ...['wrong-session', 'unknown-session'],
]);

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
  /** Of a use with two rounds: what the members that answered had committed to. */
  session: CommitmentBy[] | null;
}

export interface AttemptOptions<Answer> {
  state: () => CoreState;
  transport: Transport;
  clock: Clock;
  log: Log;
  penalties: PeerPenalties;
  /** Names sessions. */
  randomBytes: (length: number) => Uint8Array;
  request: UseRequest;
  /** How this peer answers itself. */
  own: (asked: PartialRequest) => Promise<PartialAnswer>;
  /**
   * From everybody who answers at most a moment after the first `k`, with proofs; else from the first `k`
   * that will do.
   */
  everybody: boolean;
  /**
   * Null when these partials do not combine; culprits, by index, as proofs show, or a signature after one
   * that failed; suspects, whose proofs pass and whose partials spoil a signature all the same.
   */
  complete: (
    collected: Collected,
  ) => Promise<{ answer: Answer | null; culprits: readonly number[]; suspects: readonly number[] }>;
  signal: AbortSignal;
}

/** One attempt to use a key in one epoch. */
export interface Attempt<Answer> {
  /** Null when too few answered, or the signal aborted before; `failure` says why. */
  run(): Promise<Answer | null>;
  /** Whether so many refused for good that asking again would change nothing. */
  readonly isRefused: boolean;
  /** What to tell the client when time is up, or asking again would not help. */
  failure(): DaemonError;
}

export class Asking {
  readonly value: Value;
  readonly setting: KeySetting;
  readonly commitments: Uint8Array[];
  /** The names of members whose last answer was what they were asked for. */
  readonly useful = new Set<string>();
  /** Since when a peer owes an answer, on the monotonic clock. */
  readonly #owing = new Map<string, number>();
  readonly #options: AttemptOptions<unknown>;
  readonly #refusals = new Map<string, { code: string; why: string }>();
  readonly #liars = new Set<number>();
  readonly #aside = new Set<number>();
  #newer = false;

  /** @throws DaemonError where the group has no such key */
  constructor(options: AttemptOptions<unknown>) {
    this.#options = options;
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
    this.value = from.value;
    this.setting = { key, threshold: from.value.threshold, membersMax: core.genesis.membersMax };
    this.commitments = from.commitments[position] as Uint8Array[];
  }

  /** The member's answer where it is of one of these types; null for anything else, which is remembered. */
  async ask<Type extends PartialAnswer['type']>(
    member: Member,
    asked: PartialRequest,
    wanted: readonly Type[],
  ): Promise<Extract<PartialAnswer, { type: Type }> | null> {
    const { transport, clock, log, penalties, own, signal } = this.#options;
    let answer: PartialAnswer;
    this.#owing.set(member.peer, clock.nowMs());
    this.useful.delete(member.name);
    try {
      answer =
        member.peer === transport.peerId
          ? await own(asked)
          : partialAnswers.decode(
              await transport.request(member.peer, partialRequests.encode(asked), { signal }),
              partialAnswerBytesMax,
            );
    } catch (error) {
      // The use is over: that is nobody's fault.
      if (signal.aborted) return null;
      if (isOfOtherVersion(error))
        this.#refusals.set(member.name, { code: 'other-version', why: error.message });
      else if (error instanceof ProtocolError) this.lied(member, 'an answer that is none');
      else log.debug({ peer: member.name, err: error }, 'no partial');
      return null;
    } finally {
      this.#owing.delete(member.peer);
    }
    const isWanted = (some: PartialAnswer): some is Extract<PartialAnswer, { type: Type }> =>
      wanted.some((type) => type === some.type);
    if (isWanted(answer)) {
      this.useful.add(member.name);
      // A commitment or a refusal alone is no use: a member that never gives more is as good as silent.
      if (answer.type === this.partialType) penalties.answered(member.peer);
      return answer;
    }
    switch (answer.type) {
      case 'refused':
        this.#refusals.set(member.name, answer);
        return null;
      case 'gone':
      case 'absent':
        if (answer.now > this.value.epoch) this.#newer = true;
        return null;
      default:
        this.lied(member, 'an answer to another question');
        return null;
    }
  }

  /** What a partial of this request comes as. */
  get partialType(): Given['answer']['type'] {
    return this.#options.request.body.operation === 'sign' ? 'partial' : 'sealed-partial';
  }

  lied(member: Member, what: string): void {
    const { log, penalties } = this.#options;
    this.useful.delete(member.name);
    penalties.penalize(member.peer, 'lied');
    log.warn({ peer: member.name, index: member.index, epoch: this.value.epoch }, what);
  }

  /** A member that gave a false partial. This attempt asks it no more. */
  exclude(member: Member): void {
    this.#liars.add(member.index);
    this.lied(member, 'a false partial');
  }

  /** This attempt asks the member no more. */
  setAside({ name, index }: Member): void {
    this.#aside.add(index);
    this.useful.delete(name);
  }

  /**
   * A member that committed to nonces and gave no partial: this attempt asks it no more, and later ones ask
   * it last. It is excused where this peer could not serve the request any more either.
   */
  brokeOff(member: Member): void {
    const { transport, penalties, signal } = this.#options;
    if (signal.aborted) return;
    this.setAside(member);
    if (member.peer !== transport.peerId && this.#isServable()) penalties.penalize(member.peer, 'silent');
  }

  /** Whether this peer has erased the shares of this attempt's epoch. */
  isPast(): boolean {
    return this.#options.state().durable.own.retired > this.value.epoch;
  }

  /** Whether no newer epoch is known here, and the request is still one that a member serves. */
  #isServable(): boolean {
    const { state, clock, request } = this.#options;
    const core = state();
    if (core.durable.own.head > this.value.epoch) return false;
    try {
      checkUse(headOf(core), core.clusterId, request, clock.wallMs());
      return true;
    } catch (error) {
      if (error instanceof UseRefusal) return false;
      throw error;
    }
  }

  /** Members that owe an answer for too long are asked last for a while. */
  penalizeSilent(): void {
    const { transport, clock, penalties } = this.#options;
    const nowMs = clock.nowMs();
    for (const [peer, sinceMs] of this.#owing)
      if (peer !== transport.peerId && nowMs - sinceMs >= hedgeMs) penalties.penalize(peer, 'silent');
  }

  /**
   * Whom to ask: this peer first, then the others in an order that changes with the request, so that load
   * spreads; those that spoiled or held up others last.
   */
  candidates(): Member[] {
    const { transport, penalties, request } = this.#options;
    const reachable = new Set([transport.peerId, ...transport.authenticated()]);
    const members = this.value.roster.filter(
      ({ peer, index }) => reachable.has(peer) && !this.#liars.has(index) && !this.#aside.has(index),
    );
    const turn = (request.body.nonce[0] ?? 0) % Math.max(1, members.length);
    const turned = [...members.slice(turn), ...members.slice(0, turn)];
    const placeOf = ({ peer }: Member): number =>
      peer === transport.peerId ? 0 : penalties.has(peer) ? 2 : 1;
    return turned.toSorted((one, other) => placeOf(one) - placeOf(other));
  }

  get isRefused(): boolean {
    const { roster, threshold } = this.value;
    const forGood = [...this.#refusals.values()].filter(({ code }) => !passing.has(code));
    return roster.length - forGood.length < threshold;
  }

  /** @param gave the names of those whose partials were no use for too few others */
  failure(gave: ReadonlySet<string>): DaemonError {
    const { roster, threshold } = this.value;
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
