/**
 * Using a key (protocol §2, §6): every member checks a client-signed request for itself before it computes a
 * partial; whoever was asked by the client collects `k` of them. It combines a signature and releases only
 * one that verifies; the partials of a decryption are sealed, and it passes them on.
 */
import { BoundedCache } from '../../crypto/bounded-cache.ts';
import { hashHex } from '../../crypto/hash.ts';
import type { KeySetting } from '../../protocol/machine/io.ts';
import { headOf, selfIn } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { decode, encode, hex } from '../../protocol/records/codec.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import {
  checkUse,
  type DecryptBody,
  hashOfUse,
  type SignBody,
  UseRefusal,
  type UseRefusalCode,
  type UseRequest,
} from '../../protocol/records/use-request.ts';
import { type Clock, pause } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import { causeOf } from '../jobs/job-failure.ts';
import type { UseJob, UseJobResult } from '../jobs/use-jobs.ts';
import type { Workers } from '../jobs/workers.ts';
import type { Log } from '../log.ts';
import type { ReproachQuota } from '../network/quotas.ts';
import type { Transport } from '../network/transport.ts';
import type { DecryptAnswer, SignAnswer } from './answers.ts';
import { Attempt, type AttemptOptions, type Collected, type Given } from './attempt.ts';
import { FairQueue } from './fair-queue.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialRequestBytesMax,
  partialRequestSchema,
} from './partial-messages.ts';
import { PeerPenalties, type PeerPenalty } from './peer-penalties.ts';
import { UseRates } from './rates.ts';

interface UseServiceOptions {
  state: () => CoreState;
  transport: Transport;
  workers: Workers;
  /** How many partials the workers compute at the same time, of whoever asks. */
  partialsAtOnce: number;
  clock: Clock;
  log: Log;
  onChange: (listener: () => void) => () => void;
  /** Sees every answer before it leaves, with the name of the member that asked; what it returns leaves instead. */
  audit: (from: string, asked: PartialRequest, answer: PartialAnswer) => Promise<PartialAnswer>;
}

/** Attempts follow each other at least this often. */
const retryMs = 500;
/** Answers kept for repeated requests; each has at most a few kilobytes. */
const answersMax = 512;
/** What no honest member passes on: it has checked the request for itself, and what these say never changes. */
const unexcused: ReadonlySet<UseRefusalCode> = new Set([
  'wrong-cluster',
  'bad-signature',
  'wrong-use',
  'wrong-digest',
  'wrong-ciphertext',
  'weak-sealing-key',
]);
/** A request that expired before is old: a clock that is wrong by a time zone expires none so long ago. */
const oldMs = 24 * 60 * 60_000;

/** What a member that passed on a refused request has used up; null: nothing. */
function quotaOf(code: UseRefusalCode, { body }: UseRequest, wallMs: number): ReproachQuota | null {
  if (unexcused.has(code)) return 'refusals';
  if (code === 'expired' && body.expiresAtMs < wallMs - oldMs) return 'refusals';
  // Each member counts for itself: a client that asks too often must not get the honest member cut off that it asks.
  return code === 'over-rate' ? null : 'refusedUses';
}

export class UseService {
  readonly #options: UseServiceOptions;
  readonly #rates = new UseRates();
  readonly #penalties: PeerPenalties;
  readonly #queue: FairQueue;
  /** By everything that was asked: who repeats a request is given the same bytes, and costs no arithmetic. */
  readonly #answers = new BoundedCache<string, Promise<PartialAnswer>>(answersMax);
  /** The same for clients: by the hash of the request, answers that were collected here or are under way. */
  readonly #collected = new BoundedCache<string, Promise<SignAnswer | DecryptAnswer>>(answersMax);

  readonly #stopping = new AbortController();

  constructor(options: UseServiceOptions) {
    this.#options = options;
    this.#penalties = new PeerPenalties(options.clock);
    this.#queue = new FairQueue(options.partialsAtOnce);
  }

  /** Members that spoiled or held up the use of a key lately. */
  penalties(): PeerPenalty[] {
    return this.#penalties.list();
  }

  /** Ends every use that this peer coordinates, as if its time were over, and each that begins later. */
  stop(): void {
    this.#stopping.abort();
  }

  // ── a member answers ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers the request of the member with this peer id for a partial. */
  async answer(from: string, bytes: Uint8Array): Promise<Uint8Array> {
    let asked: PartialRequest;
    try {
      asked = decode(partialRequestSchema, bytes, partialRequestBytesMax);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#options.transport.reproach(from);
      return encode({ type: 'refused', code: 'malformed', why: error.message } satisfies PartialAnswer);
    }
    return encode(await this.#audited(from, asked));
  }

  async #audited(from: string, asked: PartialRequest): Promise<PartialAnswer> {
    const { audit, state } = this.#options;
    const name = headOf(state()).roster.find(({ peer }) => peer === from)?.name ?? from;
    return audit(name, asked, await this.#partial(from, asked));
  }

  async #partial(from: string, asked: PartialRequest): Promise<PartialAnswer> {
    const { epoch, request, prove } = asked;
    const { state, transport, clock, log } = this.#options;
    const core = state();
    const head = headOf(core);
    try {
      const { key, client } = checkUse(head, core.clusterId, request, clock.wallMs());
      this.#rates.count(client, request, clock.nowMs());
      const value = core.durable.links[epoch]?.value;
      const share = core.durable.shares[epoch]?.[hex(key.id)];
      const self = value && selfIn(core, value);
      if (value === undefined || share === undefined || self === undefined)
        return { type: epoch < core.durable.own.retired ? 'gone' : 'absent', now: head.epoch };
      const setting: KeySetting = { key, threshold: value.threshold, membersMax: core.genesis.membersMax };
      const { body } = request;
      const job: UseJob = { kind: 'use-partial', setting, share, index: self.index, epoch, body, prove };
      const question = hashHex(encode(asked));
      return await this.#answers.getOrCompute(question, () =>
        this.#queue.run(from, () => this.#computePartial(job)).catch((error) => this.#failed(from, error)),
      );
    } catch (error) {
      if (!(error instanceof UseRefusal)) throw error;
      // The audit log says so already, and counts what is repeated.
      log.debug({ from, code: error.code, reason: error.message }, 'a request was refused');
      const quota = quotaOf(error.code, request, clock.wallMs());
      if (quota !== null && from !== transport.peerId) transport.reproach(from, quota);
      return { type: 'refused', code: error.code, why: error.message };
    }
  }

  /** Kept like an answer: what no worker can compute is not tried again with every repeat. */
  #failed(from: string, error: unknown): PartialAnswer {
    this.#options.log.error({ from, reason: causeOf(error) }, 'a partial could not be computed');
    return {
      type: 'refused',
      code: 'failed',
      why: 'this peer could not compute its partial: its log says why',
    };
  }

  async #computePartial(job: UseJob): Promise<PartialAnswer> {
    const result = await this.#compute(job);
    switch (result.kind) {
      case 'use-partial':
        return { type: 'partial', partial: result.partial, proof: result.proof };
      case 'use-sealed-partial':
        return { type: 'sealed-partial', envelope: result.envelope };
      case 'use-combine':
        throw new Error('unreachable: a partial was asked for');
    }
  }

  // ── a member coordinates ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A signature by any `k` members. Rejects with `DaemonError`: `refused` with the members' reasons, or
   * `not-enough-peers` with those who are missing when `timeoutMs` passes.
   */
  async sign(request: UseRequest<SignBody>, timeoutMs: number, gone?: AbortSignal): Promise<SignAnswer> {
    const complete = (collected: Collected) => this.#combine(request.body, collected);
    const collect = (leftMs: number) => this.#attempts({ request, everybody: false, complete }, leftMs, gone);
    return this.#once(request, { timeoutMs, gone }, collect);
  }

  /** Partials that only the client can open and combine: this peer just passes them on. Rejects as `sign` does. */
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

  /** What another call collects, or `not-enough-peers` when that takes longer, or when nobody waits for it any more. */
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

  /** An attempt ends without an answer when its epoch is gone or too few answer; what changes starts another. */
  async #attempts<Answer>(
    goal: Pick<AttemptOptions<Answer>, 'request' | 'everybody' | 'complete'>,
    timeoutMs: number,
    gone?: AbortSignal,
  ): Promise<Answer> {
    const { state, transport, clock, log } = this.#options;
    const deadline = new AbortController();
    const ends = [deadline.signal, this.#stopping.signal];
    const signal = AbortSignal.any(gone === undefined ? ends : [...ends, gone]);
    const cancel = clock.schedule(timeoutMs, () => deadline.abort());
    const own = (asked: PartialRequest) => this.#audited(transport.peerId, asked);
    try {
      for (;;) {
        const changed = this.#changed(signal);
        const attempt = new Attempt({
          state,
          transport,
          clock,
          log,
          penalties: this.#penalties,
          own,
          signal,
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

  async #combine(body: SignBody, { value, setting, commitments, given, failed }: Collected) {
    const partialsIn = (some: readonly Given[]) =>
      some.flatMap(({ by, answer }) =>
        answer.type === 'partial' ? [{ by: by.index, partial: answer.partial, proof: answer.proof }] : [],
      );
    const result = await this.#combined({
      kind: 'use-combine',
      setting,
      commitments,
      epoch: value.epoch,
      body,
      partials: partialsIn(given),
      failed: partialsIn(failed),
    });
    // No worker could do it, which is no word about anybody: these are asked last from now on, and others instead.
    if (result === null) return { answer: null, culprits: [], suspects: given.map(({ by }) => by.index) };
    if (result.kind !== 'use-combine') throw new Error('unreachable: a combination was asked for');
    const { signature, culprits, suspects, refuted } = result;
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
