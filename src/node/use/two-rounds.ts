/**
 * One attempt to use a key in two rounds (Komlo, Goldberg 2020; RFC 9591 §5): members commit to nonces, and
 * then exactly `k` of them answer for one list of commitments. A member that is silent or lies between the
 * rounds spoils the try, and a new one begins with fresh nonces.
 *
 * A try takes only members that are free: they owe no answer, and are in no other try. So each try that has
 * not ended well holds a faulty member of its own, and `n − k + 1` tries are enough, however slow honest
 * members are (Ruffing and others, ROAST 2022, §4). Where too few are free, the attempt waits for answers.
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
  /** Members of a try under way, or that owe an answer to one that is over, by index. */
  readonly #busy = new Set<number>();
  /** Settles when a member becomes free. */
  #freed = Promise.withResolvers<void>();

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
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const underWay = new Set<Promise<Answer | null>>();
    let beganMs = 0;
    try {
      while (!until.aborted && !this.#asking.isPast()) {
        const { threshold } = this.#asking.value;
        const free = this.#free();
        const isLate = clock.nowMs() - beganMs >= hedgeMs;
        if (free.length >= threshold && (underWay.size === 0 || isLate)) {
          beganMs = clock.nowMs();
          const next = this.#try(free, until).finally(() => underWay.delete(next));
          underWay.add(next);
        } else if (underWay.size === 0 && free.length + this.#busy.size < threshold) return null;
        const answer = await this.#next(underWay, until);
        if (answer !== null) return answer;
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
    return this.#asking.failure(this.#asking.useful);
  }

  /** The answer of a try, or null when something else happened: a try failed, a member is free, time went by. */
  async #next(underWay: ReadonlySet<Promise<Answer | null>>, until: AbortSignal): Promise<Answer | null> {
    const ended = new AbortController();
    const tick = pause(this.#options.clock, hedgeMs, AbortSignal.any([until, ended.signal]));
    try {
      return (await Promise.race([...underWay, this.#freed.promise, tick])) ?? null;
    } finally {
      ended.abort();
      this.#asking.penalizeSilent();
    }
  }

  #free(): Member[] {
    return this.#asking.candidates().filter(({ index }) => !this.#busy.has(index));
  }

  #release({ index }: Member): void {
    this.#busy.delete(index);
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
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
    if (answer !== null) return answer;
    for (const { by } of given)
      if (culprits.includes(by.index)) this.#asking.exclude(by);
      // No worker of this peer could combine: others may do better, or this attempt ends.
      else if (culprits.length === 0) this.#asking.setAside(by);
    return null;
  }

  /**
   * Round one: commitments of `k` members. Members that spoiled or held up others lately are asked, and
   * chosen, only where the others are too few or too slow. Members that are not chosen forget their nonces.
   */
  async #commitments(
    session: Uint8Array,
    members: readonly Member[],
    until: AbortSignal,
  ): Promise<Committed[] | null> {
    const { clock, penalties, request } = this.#options;
    const { epoch, threshold } = this.#asking.value;
    const isDoubtful = ({ peer }: Member): boolean => penalties.has(peer);
    const waiting = [...members];
    const committed: Committed[] = [];
    const open = new Map<Member, Promise<{ by: Member; commitment: Uint8Array | null }>>();
    const ask = (count: number): void => {
      // Another try may have taken some meanwhile.
      const free = waiting.splice(0).filter(({ index }) => !this.#busy.has(index));
      waiting.push(...free.slice(count));
      for (const by of free.slice(0, count)) {
        this.#busy.add(by.index);
        const question = { type: 'nonces', epoch, request, session } as const;
        const answer = this.#asking.ask(by, question, ['nonce-commitment']);
        open.set(
          by,
          answer.then((given) => ({ by, commitment: given?.commitment ?? null })),
        );
      }
    };
    const trusted = members.filter((member) => !isDoubtful(member)).length;
    if (trusted < threshold) ask(members.length);
    else ask(trusted < members.length ? trusted : threshold + 1);
    const isEnough = (): boolean => {
      const sure = committed.filter(({ by }) => !isDoubtful(by)).length;
      const mayCome = [...open.keys()].some((member) => !isDoubtful(member));
      return sure >= threshold || (committed.length >= threshold && !mayCome);
    };
    let timer = pause(clock, hedgeMs, until);
    while (open.size > 0 && !isEnough() && !until.aborted) {
      const next = await Promise.race([timer, ...open.values()]);
      if (next === undefined) {
        ask(waiting.length);
        // From here on it looks again now and then: members that are silent become doubtful.
        timer = pause(clock, hedgeMs, until);
        continue;
      }
      const { by, commitment } = next;
      open.delete(by);
      if (commitment !== null && this.#isCommitment(commitment)) committed.push({ by, commitment });
      else {
        if (commitment !== null) this.#asking.lied(by, 'a nonce commitment that is none');
        this.#asking.setAside(by);
        this.#release(by);
        ask(1);
      }
    }
    const chosen =
      committed.length >= threshold && !until.aborted
        ? committed
            .toSorted((one, other) => Number(isDoubtful(one.by)) - Number(isDoubtful(other.by)))
            .slice(0, threshold)
        : [];
    for (const { by } of committed) if (!chosen.some((one) => one.by === by)) void this.#forget(session, by);
    for (const [by, answer] of open) void answer.then(() => this.#forget(session, by));
    return chosen.length > 0 ? chosen : null;
  }

  /** A member that is not needed forgets its nonces, and is free. */
  async #forget(session: Uint8Array, member: Member): Promise<void> {
    const { transport, own, signal } = this.#options;
    this.#release(member);
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
        this.#release(by);
      }),
    );
    return await Promise.race([
      spoiled.promise,
      all.then(() => (given.length === chosen.length ? given : null)),
    ]);
  }
}
