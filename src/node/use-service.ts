/**
 * Using a key (protocol §2, §6): every member checks a client-signed request for itself before it computes a partial;
 * whoever was asked by the client collects `k` of them. It combines a signature and releases only one that verifies; the
 * partials of a decryption are sealed, and it passes them on.
 */
import { decode, encode, hex } from '../protocol/codec.ts';
import type { KeySetting } from '../protocol/io.ts';
import { headOf, selfIn } from '../protocol/queries.ts';
import type { CoreState } from '../protocol/state.ts';
import {
  checkUse,
  type DecryptBody,
  hashOfUse,
  type SignBody,
  UseRefusal,
  type UseRequest,
} from '../protocol/use-request.ts';
import type { Client } from '../protocol/value.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Transport } from './network/transport.ts';
import { Attempt, type AttemptOptions, type Collected } from './use-attempt.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswerBytesMax,
  partialRequestSchema,
} from './use-messages.ts';
import { DaemonError, type DecryptAnswer, type SignAnswer } from './view.ts';
import type { Workers } from './workers.ts';

export interface UseServiceOptions {
  state: () => CoreState;
  transport: Transport;
  workers: Workers;
  clock: Clock;
  log: Log;
  onChange: (listener: () => void) => () => void;
}

/** Attempts follow each other at least this often. */
const retryMs = 500;
const minuteMs = 60_000;

export class UseService {
  readonly #options: UseServiceOptions;
  /** Requests served in the last minute, by client: a repeated one counts once. */
  readonly #served = new Map<string, Map<string, number>>();

  constructor(options: UseServiceOptions) {
    this.#options = options;
  }

  // ── a member answers ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers another member's request for a partial. Throws only for malformed bytes. */
  async answer(bytes: Uint8Array): Promise<Uint8Array> {
    return encode(await this.#partial(decode(partialRequestSchema, bytes, partialAnswerBytesMax)));
  }

  async #partial({ epoch, request, prove }: PartialRequest): Promise<PartialAnswer> {
    const { state, workers, clock, log } = this.#options;
    const core = state();
    const head = headOf(core);
    try {
      const { key, client } = checkUse(head, core.clusterId, request, clock.wallMs());
      this.#count(client, request);
      const value = core.durable.links[epoch]?.value;
      const share = core.durable.shares[epoch]?.[hex(key.id)];
      const self = value && selfIn(core, value);
      if (value === undefined || share === undefined || self === undefined)
        return { type: epoch < core.durable.own.retired ? 'gone' : 'absent', now: head.epoch };
      const setting: KeySetting = { key, threshold: value.threshold, membersMax: core.genesis.membersMax };
      const result = await workers.use({
        kind: 'use-partial',
        setting,
        share,
        index: self.index,
        epoch,
        body: request.body,
        prove,
      });
      switch (result.kind) {
        case 'use-partial':
          return { type: 'partial', partial: result.partial, proof: result.proof };
        case 'use-sealed-partial':
          return { type: 'sealed-partial', envelope: result.envelope };
        case 'use-combine':
          throw new Error('unreachable: a partial was asked for');
      }
    } catch (error) {
      if (!(error instanceof UseRefusal)) throw error;
      log.info({ code: error.code, reason: error.message }, 'a request was refused');
      return { type: 'refused', code: error.code, why: error.message };
    }
  }

  #count(client: Client, request: UseRequest): void {
    const now = this.#options.clock.nowMs();
    const id = hex(client.publicKey);
    const served = this.#served.get(id) ?? new Map<string, number>();
    for (const [hash, at] of served) if (at < now - minuteMs) served.delete(hash);
    const hash = hex(hashOfUse(request.body));
    if (!served.has(hash) && client.ratePerMinute > 0 && served.size >= client.ratePerMinute)
      throw new UseRefusal(
        'over-rate',
        `client ${client.name} may ask ${client.ratePerMinute} times a minute`,
      );
    if (client.ratePerMinute > 0) {
      served.set(hash, now);
      this.#served.set(id, served);
    }
  }

  // ── a member coordinates ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * A signature by any `k` members. Rejects with `DaemonError`: `refused` with the members' reasons, or
   * `not-enough-peers` with those who are missing when `timeoutMs` passes.
   */
  async sign(request: UseRequest<SignBody>, timeoutMs: number): Promise<SignAnswer> {
    const complete = (collected: Collected) => this.#combine(request.body, collected);
    return this.#attempts({ request, everybody: false, complete }, timeoutMs);
  }

  /** Partials that only the client can open and combine: this peer just passes them on. Rejects as `sign` does. */
  async decrypt(
    request: UseRequest<DecryptBody>,
    { prove, timeoutMs }: { prove: boolean; timeoutMs: number },
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
    });
    return this.#attempts({ request, everybody: prove, complete }, timeoutMs);
  }

  /** An attempt ends without an answer when its epoch is gone or too few answer; what changes starts another. */
  async #attempts<Answer>(
    goal: Pick<AttemptOptions<Answer>, 'request' | 'everybody' | 'complete'>,
    timeoutMs: number,
  ): Promise<Answer> {
    const { state, transport, clock, log } = this.#options;
    const core = state();
    try {
      checkUse(headOf(core), core.clusterId, goal.request, clock.wallMs());
    } catch (error) {
      if (error instanceof UseRefusal) throw new DaemonError('refused', error.message, { code: error.code });
      throw error;
    }
    const deadline = new AbortController();
    const { signal } = deadline;
    const cancel = clock.schedule(timeoutMs, () => deadline.abort());
    const own = (asked: PartialRequest) => this.#partial(asked);
    try {
      for (;;) {
        const changed = this.#changed(signal);
        const attempt = new Attempt({ state, transport, clock, log, own, signal, ...goal });
        const answer = await attempt.run();
        if (answer !== null) return answer;
        if (signal.aborted) throw attempt.failure();
        await changed; // or a moment, for a peer that was only busy
        if (signal.aborted) throw attempt.failure();
      }
    } finally {
      cancel();
      deadline.abort();
    }
  }

  async #combine(body: SignBody, { value, setting, commitments, given }: Collected) {
    const result = await this.#options.workers.use({
      kind: 'use-combine',
      setting,
      commitments,
      epoch: value.epoch,
      body,
      partials: given.flatMap(({ by, answer }) =>
        answer.type === 'partial' ? [{ by: by.index, partial: answer.partial, proof: answer.proof }] : [],
      ),
    });
    if (result.kind !== 'use-combine') throw new Error('unreachable: a combination was asked for');
    const { signature, culprits } = result;
    const signers = given.slice(0, value.threshold).map(({ by }) => by.name);
    return { answer: signature === null ? null : { signature, epoch: value.epoch, signers }, culprits };
  }

  /** Resolves at the next change of the daemon's state, after a short while, or when `signal` aborts. */
  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(retryMs, () => done());
      const undo = this.#options.onChange(() => done());
      const done = () => {
        cancel();
        undo();
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
    });
  }
}
