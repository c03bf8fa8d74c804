/**
 * Using a key (protocol §2, §6): every member checks a client-signed request for itself before it computes a partial;
 * whoever was asked by the client collects `k` of them, combines, and releases only a signature that verifies.
 */
import { decode, encode, hex, sameBytes } from '../protocol/codec.ts';
import type { KeySetting } from '../protocol/io.ts';
import { headOf, selfIn } from '../protocol/queries.ts';
import type { Member } from '../protocol/roster.ts';
import type { CoreState } from '../protocol/state.ts';
import { checkUse, hashOfUse, UseRefusal, type UseRequest } from '../protocol/use-request.ts';
import type { Client, Value } from '../protocol/value.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Transport } from './network/transport.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswerBytesMax,
  partialAnswerSchema,
  partialRequestSchema,
} from './use-messages.ts';
import { DaemonError, type SignAnswer } from './view.ts';
import type { Workers } from './workers.ts';

export interface UseServiceOptions {
  state: () => CoreState;
  transport: Transport;
  workers: Workers;
  clock: Clock;
  log: Log;
  onChange: (listener: () => void) => () => void;
}

/** After this long without enough partials, everyone who has not been asked yet is asked too. */
const hedgeMs = 400;
/** Attempts follow each other at least this often. */
const retryMs = 500;
const minuteMs = 60_000;

/** How this peer answers itself. */
type AnswerForSelf = (asked: PartialRequest) => Promise<PartialAnswer>;

/** A member's answer in one attempt. */
interface Given {
  by: Member;
  partial: Uint8Array;
  proof: Uint8Array | null;
}

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
        block: request.body,
        prove,
      });
      if (result.kind !== 'use-partial') return { type: 'absent', now: head.epoch };
      return { type: 'partial', partial: result.partial, proof: result.proof };
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
  async sign(request: UseRequest, timeoutMs: number): Promise<SignAnswer> {
    const { state, clock } = this.#options;
    const core = state();
    try {
      checkUse(headOf(core), core.clusterId, request, clock.wallMs());
    } catch (error) {
      if (error instanceof UseRefusal) throw new DaemonError('refused', error.message, { code: error.code });
      throw error;
    }
    const deadline = new AbortController();
    const cancel = clock.schedule(timeoutMs, () => deadline.abort());
    try {
      // An attempt ends without a signature when its epoch is gone or too few answer; what changes starts another.
      for (;;) {
        const changed = this.#changed(deadline.signal);
        const attempt = new Attempt(this.#options, request, (asked) => this.#partial(asked), deadline.signal);
        const answer = await attempt.run();
        if (answer !== null) return answer;
        if (deadline.signal.aborted) throw attempt.failure();
        await changed; // or a moment, for a peer that was only busy
        if (deadline.signal.aborted) throw attempt.failure();
      }
    } finally {
      cancel();
      deadline.abort();
    }
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

/** One attempt at a signature in one epoch. */
class Attempt {
  readonly #options: UseServiceOptions;
  readonly #request: UseRequest;
  readonly #own: AnswerForSelf;
  readonly #signal: AbortSignal;
  readonly #value: Value;
  readonly #setting: KeySetting;
  readonly #commitments: Uint8Array[];
  readonly #given = new Map<number, Given>();
  readonly #refusals = new Map<string, { code: string; why: string }>();
  readonly #liars = new Set<number>();
  #prove = false;
  #newer = false;

  constructor(options: UseServiceOptions, request: UseRequest, own: AnswerForSelf, signal: AbortSignal) {
    this.#options = options;
    this.#request = request;
    this.#own = own;
    this.#signal = signal;
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

  async run(): Promise<SignAnswer | null> {
    const answer = await this.#collect();
    if (answer !== null || this.#prove === false) return answer;
    // A combination failed: ask again with proofs, name and leave out whoever fails, and combine again (§2).
    this.#given.clear();
    return this.#collect();
  }

  /** Asks `k` members, then the rest when some fail or are slow, until `k` partials combine. */
  #collect(): Promise<SignAnswer | null> {
    const { transport, clock } = this.#options;
    const reachable = new Set([transport.peerId, ...transport.authenticated()]);
    const candidates = this.#shuffled(
      this.#value.roster.filter((member) => reachable.has(member.peer) && !this.#liars.has(member.index)),
    );
    const k = this.#value.threshold;
    return new Promise((resolve, reject) => {
      let open = 0;
      let settled = false;
      const finish = (answer: SignAnswer | null) => {
        if (settled) return;
        settled = true;
        cancelHedge();
        this.#signal.removeEventListener('abort', onAbort);
        resolve(answer);
      };
      const onAbort = () => finish(null);
      const ask = (count: number) => {
        for (const member of candidates.splice(0, count)) {
          open += 1;
          void this.#ask(member)
            .then(async (given) => {
              if (given === null) ask(1);
              else this.#given.set(member.index, given);
              if (!settled && given !== null && this.#given.size >= k) {
                const answer = await this.#combine();
                if (answer !== null || (!this.#prove && this.#given.size >= k)) {
                  if (answer === null) this.#prove = true;
                  finish(answer);
                }
              }
            })
            .catch((error: unknown) => {
              settled = true;
              cancelHedge();
              reject(error);
            })
            .finally(() => {
              open -= 1;
              if (open === 0 && candidates.length === 0) finish(null);
            });
        }
      };
      const cancelHedge = clock.schedule(hedgeMs, () => ask(candidates.length));
      this.#signal.addEventListener('abort', onAbort);
      if (this.#signal.aborted) return finish(null);
      if (candidates.length === 0) return finish(null);
      ask(this.#prove ? candidates.length : k);
    });
  }

  async #ask(member: Member): Promise<Given | null> {
    const { transport, log } = this.#options;
    const asked: PartialRequest = { epoch: this.#value.epoch, request: this.#request, prove: this.#prove };
    let answer: PartialAnswer;
    try {
      answer =
        member.peer === transport.peerId
          ? await this.#own(asked)
          : decode(
              partialAnswerSchema,
              await transport.request(member.peer, encode(asked), { signal: this.#signal }),
              partialAnswerBytesMax,
            );
    } catch (error) {
      log.debug({ peer: member.name, err: error }, 'no partial');
      return null;
    }
    switch (answer.type) {
      case 'partial':
        return { by: member, partial: answer.partial, proof: answer.proof };
      case 'refused':
        this.#refusals.set(member.name, answer);
        return null;
      case 'gone':
      case 'absent':
        if (answer.now > this.#value.epoch) this.#newer = true;
        return null;
    }
  }

  async #combine(): Promise<SignAnswer | null> {
    const { workers, log } = this.#options;
    const given = [...this.#given.values()];
    const result = await workers.use({
      kind: 'use-combine',
      setting: this.#setting,
      commitments: this.#commitments,
      epoch: this.#value.epoch,
      block: this.#request.body,
      partials: given.map(({ by, partial, proof }) => ({ by: by.index, partial, proof })),
    });
    if (result.kind !== 'use-combine') return null;
    if (this.#prove)
      for (const culprit of result.culprits) {
        this.#liars.add(culprit);
        this.#given.delete(culprit);
        log.warn({ index: culprit, epoch: this.#value.epoch }, 'a false partial');
      }
    if (result.signature === null) return null;
    return {
      signature: result.signature,
      epoch: this.#value.epoch,
      signers: given.slice(0, this.#value.threshold).map(({ by }) => by.name),
    };
  }

  /** This peer first, then the others in an order that changes with the request, so that load spreads. */
  #shuffled(members: Member[]): Member[] {
    const { transport } = this.#options;
    const turn = (this.#request.body.nonce[0] ?? 0) % Math.max(1, members.length);
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
