/**
 * A member's part in the use of a key (protocol §2, §6): it checks every client-signed request for itself
 * before it touches its share. No member that asks is trusted, and neither is this daemon's own coordinator,
 * which asks the same way.
 */
import assert from 'node:assert/strict';
import { BoundedCache } from '../../crypto/bounded-cache.ts';
import { hashHex } from '../../crypto/hash.ts';
import type { Operation } from '../../keys/kind/operation.ts';
import type { KeySetting } from '../../protocol/machine/io.ts';
import { headOf, selfIn } from '../../protocol/machine/queries.ts';
import { settingForKind } from '../../protocol/machine/shared-keys.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { encode, hex, sameBytes } from '../../protocol/records/codec.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import { memberAt } from '../../protocol/records/roster.ts';
import {
  checkUse,
  hashOfUse,
  UseRefusal,
  type UseRefusalCode,
  type UseRequest,
} from '../../protocol/records/use-request.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Clock } from '../clock.ts';
import { causeOf } from '../jobs/job-failure.ts';
import type { UseJob } from '../jobs/use-jobs.ts';
import type { Workers } from '../jobs/workers.ts';
import type { Log } from '../log.ts';
import type { ReproachQuota } from '../network/quotas.ts';
import type { Transport } from '../network/transport.ts';
import { FairQueue } from './fair-queue.ts';
import { type NonceSession, NonceSessions } from './nonce-sessions.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswers,
  partialRequestBytesMax,
  partialRequests,
  type UseQuestion,
} from './partial-messages.ts';
import { UseRates } from './rates.ts';

export interface MemberOptions {
  state: () => CoreState;
  transport: Transport;
  workers: Workers;
  /** How many partials the workers compute at the same time, of all members that ask. */
  partialsAtOnce: number;
  clock: Clock;
  log: Log;
  /** Secret, uniformly random bytes of the system. */
  randomBytes: (length: number) => Uint8Array;
  onChange: (listener: () => void) => () => void;
  /**
   * Sees every answer before it leaves, with the name of the member that asked; what it returns leaves
   * instead.
   */
  audit: (from: string, asked: UseQuestion, answer: PartialAnswer) => Promise<PartialAnswer>;
}

/** Answers kept for repeated questions; each has at most a few kilobytes. */
export const answersMax = 512;
/**
 * What no honest member passes on: it has checked the request for itself, and what these say never changes.
 */
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
  // Each member counts for itself: a client that asks too often must not get the honest member cut off that
  // it asks.
  return code === 'over-rate' ? null : 'refusedUses';
}

/** A question that passed every check, with this member's share. */
interface Served {
  operation: Operation;
  setting: KeySetting;
  /** Of the epoch that is asked for. */
  value: Value;
  /** Looked up again when it is used: a question may wait for its turn beyond the Retire of its epoch. */
  share: () => Uint8Array | undefined;
  index: number;
}

export class UseMember {
  readonly #options: MemberOptions;
  readonly #rates = new UseRates();
  readonly #queue: FairQueue;
  readonly #sessions: NonceSessions;
  /**
   * By the whole question: a member that repeats it is given the same bytes. No answer of two rounds is in
   * here.
   */
  readonly #answers = new BoundedCache<string, Promise<PartialAnswer>>(answersMax);
  readonly #undo: () => void;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#queue = new FairQueue(options.partialsAtOnce);
    this.#sessions = new NonceSessions(options.clock);
    this.#undo = options.onChange(() => this.#sessions.retire(options.state().durable.own.retired));
  }

  /** Destroys every nonce. */
  stop(): void {
    this.#undo();
    this.#sessions.stop();
  }

  /** Answers the question of the member with this peer id. */
  async answer(from: string, bytes: Uint8Array): Promise<Uint8Array> {
    let asked: PartialRequest;
    try {
      asked = partialRequests.decode(bytes, partialRequestBytesMax);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      if (error.code === 'other-version') return partialAnswers.encode(refused(error.code, error.message));
      this.#options.transport.reproach(from);
      return partialAnswers.encode(refused('malformed', error.message));
    }
    return partialAnswers.encode(await this.answerTo(from, asked));
  }

  /** The same for a question that is read already, this daemon's own among them. */
  async answerTo(from: string, asked: PartialRequest): Promise<PartialAnswer> {
    const { audit, state } = this.#options;
    if (asked.type === 'forget') {
      const forgotten = this.#sessions.take(from, asked.session);
      if (forgotten !== null) this.#sessions.end(forgotten);
      return { type: 'done' };
    }
    // Before anything is awaited or known to be right: from here on no other question reaches these nonces.
    const session = asked.type === 'response' ? this.#sessions.take(from, asked.session) : null;
    try {
      const answer = await this.#answer(from, asked, session);
      const name = headOf(state()).roster.find(({ peer }) => peer === from)?.name ?? from;
      return answer.type === 'nonce-commitment' ? answer : await audit(name, asked, answer);
    } finally {
      if (session !== null) this.#sessions.end(session);
    }
  }

  async #answer(from: string, asked: UseQuestion, session: NonceSession | null): Promise<PartialAnswer> {
    const { transport, clock, log } = this.#options;
    try {
      const served = this.#serve(asked);
      if ('type' in served) return served;
      const isOfTwoRounds = served.operation.nonces !== null;
      if (isOfTwoRounds !== (asked.type !== 'partial')) return wrongRounds(isOfTwoRounds);
      switch (asked.type) {
        case 'partial':
          return await this.#partial(from, asked, served);
        case 'nonces':
          return await this.#queue.run(from, async () => this.#commit(from, asked, served));
        case 'response':
          return await this.#respond(from, asked, served, session);
      }
    } catch (error) {
      if (!(error instanceof UseRefusal)) throw error;
      // The audit log says so already, and counts what is repeated.
      log.debug({ from, code: error.code, reason: error.message }, 'a request was refused');
      const quota = quotaOf(error.code, asked.request, clock.wallMs());
      if (quota !== null && from !== transport.peerId) transport.reproach(from, quota);
      return { type: 'refused', code: error.code, why: error.message };
    }
  }

  /** The checks of every question, whichever round it belongs to. @throws UseRefusal */
  #serve({ epoch, request }: UseQuestion): Served | PartialAnswer {
    const core = this.#options.state();
    const { clock } = this.#options;
    const head = headOf(core);
    const { key, client, operation } = checkUse(head, core.clusterId, request, clock.wallMs());
    this.#rates.count(client, request, clock.nowMs());
    const value = core.durable.links[epoch]?.value;
    const share = (): Uint8Array | undefined => this.#options.state().durable.shares[epoch]?.[hex(key.id)];
    const self = value && selfIn(core, value);
    if (value === undefined || share() === undefined || self === undefined) return this.#without(epoch);
    const setting: KeySetting = { key, threshold: value.threshold, membersMax: core.genesis.membersMax };
    return { operation, setting, value, share, index: self.index };
  }

  /** The answer of a member that has no share of an epoch. */
  #without(epoch: number): PartialAnswer {
    const core = this.#options.state();
    return { type: epoch < core.durable.own.retired ? 'gone' : 'absent', now: headOf(core).epoch };
  }

  // ── one round ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #partial(
    from: string,
    asked: Extract<UseQuestion, { type: 'partial' }>,
    { setting, share, index }: Served,
  ): Promise<PartialAnswer> {
    const { epoch, prove } = asked;
    const { body } = asked.request;
    const compute = async (): Promise<PartialAnswer> => {
      const held = share();
      if (held === undefined) return this.#without(epoch);
      const about = { setting, share: held, index, epoch, body };
      return this.#compute({ kind: 'use-partial', ...about, prove, session: null });
    };
    return this.#answers.getOrCompute(hashHex(partialRequests.encode(asked)), () =>
      // Once more when it fails: a worker that died takes its job along.
      this.#queue.run(from, () => compute().catch(compute)).catch((error) => this.#failed(from, error)),
    );
  }

  // ── two rounds ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Round one: fresh nonces, kept for this coordinator, session and request only. */
  #commit(
    from: string,
    { epoch, request, session }: Extract<UseQuestion, { type: 'nonces' }>,
    { operation, setting, share }: Served,
  ): PartialAnswer {
    assert(operation.nonces !== null, 'the question is for an operation with two rounds');
    const held = share();
    if (held === undefined) return this.#without(epoch);
    const [key, use] = [setting.key.id, hashOfUse(request.body)];
    const { nonces, commitment } = operation.nonces.draw({
      setting: settingForKind(setting),
      share: held,
      context: encode(['holdfast/nonces/1', epoch, key, use, from, session]),
      randomBytes: this.#options.randomBytes,
    });
    const bound = { commitment, epoch, key: hex(key), use: hex(use) };
    if (!this.#sessions.keep(from, session, bound, nonces)) return refused('failed', 'this peer stops');
    return { type: 'nonce-commitment', commitment };
  }

  /** Round two. The nonces are out of memory's reach for any other question, whatever comes of this one. */
  async #respond(
    from: string,
    asked: Extract<UseQuestion, { type: 'response' }>,
    { setting, value, share, index }: Served,
    session: NonceSession | null,
  ): Promise<PartialAnswer> {
    const { epoch, commitments } = asked;
    const { body } = asked.request;
    if (session === null)
      return refused('unknown-session', 'this peer has no such session: it is over, or never was');
    const isOfThis =
      session.epoch === epoch && session.key === hex(setting.key.id) && session.use === hex(hashOfUse(body));
    const own = commitments.find(({ by }) => by === index);
    const areOfMembers =
      commitments.length === value.threshold &&
      commitments.every(
        ({ by }, at) => by > (commitments[at - 1]?.by ?? 0) && memberAt(value.roster, by) !== undefined,
      );
    if (!isOfThis || !areOfMembers || own === undefined || !sameBytes(own.commitment, session.commitment))
      return this.#wrongSession(from);
    const answer = await this.#queue
      .run(from, async () => {
        const [nonces, held] = [this.#sessions.spend(session), share()];
        if (nonces === null || held === undefined) return this.#without(epoch);
        const about = { setting, share: held, index, epoch, body };
        // Never twice: the nonces are gone with the job.
        return this.#compute({
          ...{ kind: 'use-partial', ...about, prove: false },
          session: { nonces, commitments },
        });
      })
      .catch((error) => this.#failed(from, error));
    return answer.type === 'refused' && answer.code === 'wrong-session' ? this.#wrongSession(from) : answer;
  }

  /** No honest coordinator sends such a second round. */
  #wrongSession(from: string): PartialAnswer {
    const { transport } = this.#options;
    if (from !== transport.peerId) transport.reproach(from);
    return wrongSession;
  }

  async #compute(job: UseJob): Promise<PartialAnswer> {
    const result = await this.#options.workers.use(job);
    switch (result.kind) {
      case 'use-partial':
        return { type: 'partial', partial: result.partial, proof: result.proof };
      case 'use-sealed-partial':
        return { type: 'sealed-partial', envelope: result.envelope };
      case 'use-wrong-session':
        return wrongSession;
      case 'use-combine':
        throw new Error('unreachable: a partial was asked for');
    }
  }

  /** Kept like an answer: what no worker can compute is not tried again with every repeat. */
  #failed(from: string, error: unknown): PartialAnswer {
    this.#options.log.error({ from, reason: causeOf(error) }, 'a partial could not be computed');
    return refused('failed', 'this peer could not compute its partial: its log says why');
  }
}

type Refused = Extract<PartialAnswer, { type: 'refused' }>;
const refused = (code: Refused['code'], why: string): Refused => ({ type: 'refused', code, why });
const wrongSession = refused('wrong-session', 'the second round is for another session than the first');
const wrongRounds = (isOfTwoRounds: boolean): Refused =>
  refused('wrong-rounds', `a use of this key takes ${isOfTwoRounds ? 'two rounds' : 'one round'}`);
