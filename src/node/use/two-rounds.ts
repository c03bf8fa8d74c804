/**
 * One attempt to use a key in two rounds (Komlo, Goldberg 2020; RFC 9591 §5): members commit to nonces, and
 * then exactly `k` of them answer for one list of commitments. A member that is silent or lies between the
 * rounds spoils the try. Then a new one begins with fresh nonces: as soon as it can, or beside the old one
 * when that takes too long (Ruffing and others, ROAST 2022). Each try that fails has used up one member at
 * least, so `n − k + 1` tries are enough.
 */
import type { Member } from '../../protocol/records/roster.ts';
import { pause } from '../clock.ts';
import type { DaemonError } from '../errors.ts';
import type { CommitmentBy } from '../jobs/use-jobs.ts';
import { type Asking, type Attempt, type AttemptOptions, type Given, hedgeMs } from './asking.ts';
import { partialRequests } from './partial-messages.ts';

const sessionBytes = 16;

/** A member that gave its nonce commitment in one try. */
interface Committed {
  by: Member;
  commitment: Uint8Array;
}

export class TwoRounds<Answer> implements Attempt<Answer> {
  readonly #options: AttemptOptions<Answer>;
  readonly #asking: Asking;
  readonly #isCommitment: (commitment: Uint8Array) => boolean;
  /** Members whose last partial did not spoil a try, by name. */
  #gave: ReadonlySet<string> = new Set();

  /** @param isCommitment as the key's kind says */
  constructor(
    options: AttemptOptions<Answer>,
    asking: Asking,
    isCommitment: (commitment: Uint8Array) => boolean,
  ) {
    this.#options = options;
    this.#asking = asking;
    this.#isCommitment = isCommitment;
  }

  async run(): Promise<Answer | null> {
    const { clock, signal } = this.#options;
    const { roster, threshold } = this.#asking.value;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const underWay = new Set<Promise<Answer | null>>();
    try {
      for (let triesLeft = roster.length - threshold + 1; !until.aborted; ) {
        const members = this.#free(underWay.size === 0);
        if (triesLeft > 0 && members.length >= threshold) {
          triesLeft -= 1;
          const next = this.#try(members, until).finally(() => underWay.delete(next));
          underWay.add(next);
        } else if (underWay.size === 0) return null;
        const slow = triesLeft > 0 ? [pause(clock, hedgeMs, until)] : [];
        const answer = await Promise.race([...underWay, ...slow]);
        if (answer === undefined) this.#asking.penalizeSilent();
        else if (answer !== null) return answer;
      }
      return null;
    } finally {
      over.abort();
    }
  }

  get isRefused(): boolean {
    return this.#asking.isRefused;
  }

  failure(): DaemonError {
    return this.#asking.failure(this.#gave);
  }

  /**
   * Members that owe no answer; the others after them only where no try is under way, or too few are left.
   */
  #free(all: boolean): Member[] {
    const { owing, value } = this.#asking;
    const candidates = this.#asking.candidates();
    const free = candidates.filter(({ peer }) => !owing.has(peer));
    const others = candidates.filter(({ peer }) => owing.has(peer));
    return all || free.length < value.threshold ? [...free, ...others] : free;
  }

  /** Both rounds, with nonces of its own. Null when the try is spoiled. */
  async #try(members: readonly Member[], until: AbortSignal): Promise<Answer | null> {
    const session = this.#options.randomBytes(sessionBytes);
    const chosen = await this.#commitments(session, members, until);
    if (chosen === null) return null;
    const list = chosen
      .map(({ by, commitment }): CommitmentBy => ({ by: by.index, commitment }))
      .sort((one, other) => one.by - other.by);
    const given = await this.#responses(session, chosen, list);
    if (given === null || until.aborted) return null;
    const { value, setting, commitments } = this.#asking;
    const { answer, culprits } = await this.#options.complete({
      ...{ value, setting, commitments, given, failed: [], session: list },
    });
    this.#gave = new Set(given.filter(({ by }) => !culprits.includes(by.index)).map(({ by }) => by.name));
    for (const { by } of given) if (culprits.includes(by.index)) this.#asking.exclude(by);
    return answer;
  }

  /**
   * Round one: the first `k` commitments of one more member than are needed, and of all when one refuses or
   * is slow. Members that are not chosen are told to forget their nonces.
   */
  async #commitments(
    session: Uint8Array,
    members: readonly Member[],
    until: AbortSignal,
  ): Promise<Committed[] | null> {
    const { clock, penalties, request } = this.#options;
    const { epoch, threshold } = this.#asking.value;
    const waiting = [...members];
    const chosen: Committed[] = [];
    const open = new Map<Member, Promise<{ by: Member; commitment: Uint8Array | null }>>();
    const ask = (count: number): void => {
      for (const by of waiting.splice(0, count))
        open.set(
          by,
          this.#asking
            .ask(by, { type: 'nonces', epoch, request, session }, ['nonce-commitment'])
            .then((answer) => ({ by, commitment: answer?.commitment ?? null })),
        );
    };
    const isDoubtful = members.some(({ peer }) => penalties.has(peer));
    ask(isDoubtful ? waiting.length : threshold + 1);
    let timer = pause(clock, hedgeMs, until);
    while (open.size > 0 && chosen.length < threshold && !until.aborted) {
      const next = await Promise.race([timer, ...open.values()]);
      if (next === undefined) {
        ask(waiting.length);
        timer = new Promise((resolve) => until.addEventListener('abort', () => resolve()));
        continue;
      }
      const { by, commitment } = next;
      open.delete(by);
      if (commitment === null) ask(1);
      else if (this.#isCommitment(commitment)) chosen.push({ by, commitment });
      else {
        this.#asking.lied(by, 'a nonce commitment that is none');
        ask(1);
      }
    }
    const isEnough = chosen.length >= threshold && !until.aborted;
    for (const unneeded of isEnough ? open.keys() : [...open.keys(), ...chosen.map(({ by }) => by)])
      void this.#forget(session, unneeded, open.get(unneeded));
    return isEnough ? chosen : null;
  }

  /** Once its commitment is there, a member that is not needed forgets the nonces. */
  async #forget(session: Uint8Array, member: Member, committed: Promise<unknown> | undefined): Promise<void> {
    const { transport, own, signal } = this.#options;
    await committed;
    const question = { type: 'forget', session } as const;
    if (member.peer === transport.peerId) await own(question);
    else await transport.request(member.peer, partialRequests.encode(question), { signal }).catch(() => {});
  }

  /** Round two. Null as soon as one of the chosen gives no partial. */
  async #responses(
    session: Uint8Array,
    chosen: readonly Committed[],
    commitments: CommitmentBy[],
  ): Promise<Given[] | null> {
    const { request } = this.#options;
    const { value, partialType } = this.#asking;
    const question = { type: 'response', epoch: value.epoch, request, session, commitments } as const;
    const given: Given[] = [];
    const spoiled = Promise.withResolvers<null>();
    const all = Promise.all(
      chosen.map(async ({ by }) => {
        const answer = await this.#asking.ask(by, question, [partialType]);
        if (answer === null) {
          this.#asking.brokeOff(by);
          spoiled.resolve(null);
        } else given.push({ by, answer });
      }),
    );
    return await Promise.race([
      spoiled.promise,
      all.then(() => (given.length === chosen.length ? given : null)),
    ]);
  }
}
