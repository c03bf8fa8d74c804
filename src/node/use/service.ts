/**
 * Using a key (protocol §2, §6): the daemon that a client asked collects what enough members give
 * (`member.ts`). It combines a signature and releases only one that verifies; the partials of a decryption
 * are sealed, and it passes them on.
 */
import { BoundedCache } from '../../crypto/bounded-cache.ts';
import { kindNamed } from '../../keys/kinds.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import { settingForKind } from '../../protocol/machine/shared-keys.ts';
import { hex } from '../../protocol/records/codec.ts';
import {
  checkUse,
  type DecryptBody,
  hashOfUse,
  type SignBody,
  UseRefusal,
  type UseRequest,
} from '../../protocol/records/use-request.ts';
import { pause } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import { causeOf } from '../jobs/job-failure.ts';
import type { UseJob, UseJobResult } from '../jobs/use-jobs.ts';
import type { DecryptAnswer, SignAnswer } from './answers.ts';
import { Asking, type Attempt, type AttemptOptions, type Collected, type Given } from './asking.ts';
import { answersMax, type MemberOptions, UseMember } from './member.ts';
import { OneRound } from './one-round.ts';
import type { PartialRequest } from './partial-messages.ts';
import { PeerPenalties, type PeerPenalty } from './peer-penalties.ts';
import { TwoRounds } from './two-rounds.ts';

/** Attempts follow each other at least this often. */
const retryMs = 500;

export class UseService {
  readonly #options: MemberOptions;
  readonly #member: UseMember;
  readonly #penalties: PeerPenalties;
  /** By the hash of the request: answers that were collected here or are under way. */
  readonly #collected = new BoundedCache<string, Promise<SignAnswer | DecryptAnswer>>(answersMax);

  readonly #stopping = new AbortController();

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#member = new UseMember(options);
    this.#penalties = new PeerPenalties(options.clock);
  }

  /** Members that spoiled or held up the use of a key lately. */
  penalties(): PeerPenalty[] {
    return this.#penalties.list();
  }

  /** Ends every use that this peer coordinates, as if its time were over, and each that begins later. */
  stop(): void {
    this.#stopping.abort();
    this.#member.stop();
  }

  /** Answers the question of the member with this peer id. */
  answer(from: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#member.answer(from, bytes);
  }

  /**
   * A signature by any `k` members. Rejects with `DaemonError`: `refused` with the members' reasons, or
   * `not-enough-peers` with those who are missing when `timeoutMs` passes.
   */
  async sign(request: UseRequest<SignBody>, timeoutMs: number, gone?: AbortSignal): Promise<SignAnswer> {
    const complete = (collected: Collected) => this.#combine(request.body, collected);
    const collect = (leftMs: number) => this.#attempts({ request, everybody: false, complete }, leftMs, gone);
    return this.#once(request, { timeoutMs, gone }, collect);
  }

  /**
   * Partials that only the client can open and combine: this peer just passes them on. Rejects as `sign`
   * does.
   */
  async decrypt(
    request: UseRequest<DecryptBody>,
    { prove, timeoutMs, gone }: { prove: boolean; timeoutMs: number; gone?: AbortSignal },
  ): Promise<DecryptAnswer> {
    const complete = async ({ value, setting, commitments, given }: Collected) => ({
      answer: {
        epoch: value.epoch,
        threshold: setting.threshold,
        membersMax: setting.membersMax,
        key: setting.key,
        commitments,
        partials: given.flatMap(({ by, answer }) =>
          answer.type === 'sealed-partial'
            ? [{ index: by.index, name: by.name, envelope: answer.envelope }]
            : [],
        ),
      },
      culprits: [],
      suspects: [],
    });
    const collect = (leftMs: number) => this.#attempts({ request, everybody: prove, complete }, leftMs, gone);
    // With proofs everybody is asked, because an answer did not do: never an old one.
    if (!prove) return this.#once(request, { timeoutMs, gone }, collect);
    this.#check(request);
    return collect(timeoutMs);
  }

  /**
   * Collects once for each request, however often it is repeated while it is valid: who repeats it gets the
   * same answer, or waits for the one under way, in its own time. What failed is not kept, and what only ran
   * out of its own time is tried again by whoever has time left.
   */
  async #once<Answer extends SignAnswer | DecryptAnswer>(
    request: UseRequest,
    { timeoutMs, gone }: { timeoutMs: number; gone: AbortSignal | undefined },
    collect: (leftMs: number) => Promise<Answer>,
  ): Promise<Answer> {
    const { clock } = this.#options;
    const end = clock.nowMs() + timeoutMs;
    for (;;) {
      // Each time: rights may have changed, and the hash says nothing of who signed.
      this.#check(request);
      const leftMs = end - clock.nowMs();
      const id = hex(hashOfUse(request.body));
      const isRepeated = this.#collected.has(id);
      // The hash covers the operation: an answer is of its kind.
      const collecting = this.#collected.getOrCompute(id, () => collect(leftMs)) as Promise<Answer>;
      if (!isRepeated) {
        collecting.catch(() => this.#collected.delete(id));
        return collecting;
      }
      try {
        return await this.#inTime(collecting, leftMs, gone);
      } catch (error) {
        const isOver = clock.nowMs() >= end || this.#stopping.signal.aborted || gone?.aborted === true;
        if (isOver || !(error instanceof DaemonError) || error.code !== 'not-enough-peers') throw error;
      }
    }
  }

  /**
   * What another call collects, or `not-enough-peers` when that takes longer, or when nobody waits for it any
   * more.
   */
  async #inTime<Answer>(
    collecting: Promise<Answer>,
    leftMs: number,
    gone: AbortSignal | undefined,
  ): Promise<Answer> {
    const over = Promise.withResolvers<never>();
    const end = () =>
      over.reject(
        new DaemonError('not-enough-peers', 'the same request is under way, and was not answered in time'),
      );
    const cancel = this.#options.clock.schedule(leftMs, end);
    gone?.addEventListener('abort', end, { once: true });
    try {
      return await Promise.race([collecting, over.promise]);
    } finally {
      cancel();
      gone?.removeEventListener('abort', end);
    }
  }

  /** As each member checks for itself. Throws `DaemonError('refused')`. */
  #check(request: UseRequest): void {
    const { state, clock } = this.#options;
    const core = state();
    try {
      checkUse(headOf(core), core.clusterId, request, clock.wallMs());
    } catch (error) {
      if (error instanceof UseRefusal) throw new DaemonError('refused', error.message, { code: error.code });
      throw error;
    }
  }

  /**
   * An attempt ends without an answer when its epoch is gone or too few answer; what changes starts another.
   */
  async #attempts<Answer>(
    goal: Pick<AttemptOptions<Answer>, 'request' | 'everybody' | 'complete'>,
    timeoutMs: number,
    gone?: AbortSignal,
  ): Promise<Answer> {
    const { state, transport, clock, log, randomBytes } = this.#options;
    const deadline = new AbortController();
    const ends = [deadline.signal, this.#stopping.signal];
    const signal = AbortSignal.any(gone === undefined ? ends : [...ends, gone]);
    const cancel = clock.schedule(timeoutMs, () => deadline.abort());
    const own = (asked: PartialRequest) => this.#member.answerTo(transport.peerId, asked);
    try {
      for (;;) {
        const changed = this.#changed(signal);
        const attempt = attemptOf<Answer>({
          ...{ state, transport, clock, log, randomBytes, own, signal, penalties: this.#penalties },
          ...goal,
        });
        const answer = await attempt.run();
        if (answer !== null) return answer;
        if (signal.aborted || attempt.isRefused) throw attempt.failure();
        await changed; // or a moment, for a peer that was only busy
        if (signal.aborted) throw attempt.failure();
      }
    } finally {
      cancel();
      deadline.abort();
    }
  }

  async #combine(body: SignBody, { value, setting, commitments, given, failed, session }: Collected) {
    const partialsIn = (some: readonly Given[]) =>
      some.flatMap(({ by, answer }) =>
        answer.type === 'partial' ? [{ by: by.index, partial: answer.partial, proof: answer.proof }] : [],
      );
    const result = await this.#combined({
      ...{ kind: 'use-combine', setting, commitments, epoch: value.epoch, body, session },
      partials: partialsIn(given),
      failed: partialsIn(failed),
    });
    // No worker could do it, which is no word about anybody: these are asked last from now on, and others
    // instead.
    if (result === null) return { answer: null, culprits: [], suspects: given.map(({ by }) => by.index) };
    if (result.kind !== 'use-combine') throw new Error('unreachable: a combination was asked for');
    const { result: signature, culprits, suspects, refuted } = result;
    const signers = given
      .filter(({ by }) => ![...culprits, ...suspects].includes(by.index))
      .slice(0, value.threshold)
      .map(({ by }) => by.name);
    const answer = signature === null ? null : { signature, epoch: value.epoch, signers };
    return { answer, culprits: [...culprits, ...refuted], suspects };
  }

  async #combined(job: UseJob): Promise<UseJobResult | null> {
    try {
      return await this.#compute(job);
    } catch (error) {
      this.#options.log.error({ reason: causeOf(error) }, 'partials could not be combined');
      return null;
    }
  }

  /** Once more when it fails: a worker that died takes its job along. */
  async #compute(job: UseJob): Promise<UseJobResult> {
    const { workers } = this.#options;
    return workers.use(job).catch(() => workers.use(job));
  }

  /** Resolves at the next change of the daemon's state, after a short while, or when `signal` aborts. */
  async #changed(signal: AbortSignal): Promise<void> {
    const { clock, onChange } = this.#options;
    const change = new AbortController();
    const undo = onChange(() => change.abort());
    await pause(clock, retryMs, AbortSignal.any([signal, change.signal]));
    undo();
  }
}

/** In as many rounds as the kind of the key needs. */
function attemptOf<Answer>(options: AttemptOptions<Answer>): Attempt<Answer> {
  const asking = new Asking(options);
  const nonces =
    kindNamed(asking.setting.key.kind).operations[options.request.body.operation]?.nonces ?? null;
  if (nonces === null) return new OneRound(options, asking);
  const setting = settingForKind(asking.setting);
  return new TwoRounds(options, asking, (commitment) => nonces.isCommitment(setting, commitment));
}
