/**
 * The driver: the only place that does I/O for the protocol. It gives inputs to `step`. First it makes
 * durable what the step persists. Only then it performs the step's other outputs, in order.
 */

import { hashOf } from '../../crypto/hash.ts';
import { sign, verify } from '../../crypto/signature.ts';
import type { RandomBytes } from '../../keys/kind/shared-key.ts';
import { checkFits } from '../../protocol/change/attend.ts';
import { durableDelta } from '../../protocol/machine/durable-records.ts';
import { emptyDurable } from '../../protocol/machine/durable-state.ts';
import type { Input, Job, JobResult, Output, Stamp } from '../../protocol/machine/io.ts';
import type { JobTag } from '../../protocol/machine/job-tags.ts';
import { headOf, listedSecret } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { nextTickAtMs } from '../../protocol/next-tick.ts';
import { frameEnvelope } from '../../protocol/records/change-messages.ts';
import { hex } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Order } from '../../protocol/records/order.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import type { Member } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import { step } from '../../protocol/step.ts';
import type { Clock } from '../clock.ts';
import { causeOf } from '../jobs/job-failure.ts';
import type { Log } from '../log.ts';
import type { EpochAuthenticator, Transport, TransportHandlers } from '../network/transport.ts';
import { Archive } from '../store/archive.ts';
import type { Store } from '../store/store.ts';
import { Inbox } from './inbox.ts';

interface DriverOptions {
  state: CoreState;
  store: Store;
  transport: Transport;
  /** Runs a job outside the event loop. It may reject, and then the driver tries once more. */
  compute: (job: Job) => Promise<JobResult>;
  clock: Clock;
  randomBytes: RandomBytes;
  log: Log;
  /** The last known addresses of a member of a new roster. */
  addressesOf: (member: Member) => string[];
  onRequest: TransportHandlers['onRequest'];
  /** The store failed, so the daemon ends. Only a new start shows the content of the disk. */
  onFailure: (error: Error) => void;
  /** Gets every output after it was performed, for traces and tests. */
  onOutput?: (output: Output) => void;
}

type Unstamped = Input extends infer T ? (T extends Stamp ? Omit<T, keyof Stamp> : never) : never;

/** At most so many inputs are stepped through before their common write (a group commit). */
const batchMax = 64;
/** An evicted member stays connected for so long, to learn the value that evicts it. Milliseconds. */
const leaveMs = 500;

/** Drives one member's core: inputs in, outputs performed. */
export class Driver {
  readonly archive: Archive;
  /** The state for the next step. */
  #state: CoreState;
  /** The newest durable state. Nothing outside the driver sees a newer one. */
  #durableState: CoreState;
  readonly #options: DriverOptions;
  readonly #inbox = new Inbox<{ input: Unstamped; done?: () => void }>();
  readonly #listeners = new Set<() => void>();
  readonly #catchingUp = new Set<string>();
  /** Members that sent a record of a later version. The log says it of each of them once. */
  readonly #newer = new Set<string>();
  #listed: readonly Member[] = [];
  /** The value that listed the keys which the connections were last asked to prove. */
  #proven: Value;
  #draining = false;
  #stopped = false;
  #cancelTick: (() => void) | null = null;
  #idle: Promise<void> = Promise.resolve();

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#durableState = options.state;
    this.#proven = headOf(options.state);
    this.archive = new Archive(options.store, () => this.#durableState);
  }

  /** The newest durable state. */
  get state(): CoreState {
    return this.#durableState;
  }

  /**
   * Starts the network and the core. `fresh` says that the state was never stored: it is written first.
   * @throws StoreError, ListenError (as a rejection)
   */
  async start(options: { fresh: boolean }): Promise<void> {
    if (options.fresh) await this.#options.store.commit(durableDelta(emptyDurable(), this.#state.durable));
    await this.#setMembers(headOf(this.#state).roster);
    await this.#options.transport.start(this.#handlers(), this.#authenticator());
    await this.dispatch({ type: 'boot' });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTick?.();
    for (const { done } of this.#inbox.take(this.#inbox.length)) done?.();
    await this.#options.transport.stop();
    await this.#idle;
  }

  /** Calls `listener` after each change of the state. The returned function removes it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the input was stepped through and its changes are durable. */
  dispatch(input: Unstamped): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#inbox.push({ input, done: resolve }, 'peer' in input ? input.peer : undefined);
      if (!this.#draining) this.#idle = this.#drain();
    });
  }

  /**
   * Takes a member's frame. A returned promise asks the member to pause until it resolves, because too much
   * of it waits.
   */
  #receive(input: Extract<Unstamped, { frame: Uint8Array }>): Promise<void> | undefined {
    if (this.#stopped) return undefined;
    const room = this.#inbox.pushFrom(input.from, input.frame.length, { input });
    if (!this.#draining) this.#idle = this.#drain();
    return room;
  }

  /** Begins a refresh as soon as the protocol allows one. */
  refresh(): void {
    void this.dispatch({ type: 'refresh' });
  }

  /**
   * The chain with which a listed peer begins, and the order that admitted it. A founder has no order, and gets
   * the chain from epoch 0. A later joiner gets it from the value that its admission names. Null when no piece of
   * the chain that this member has lists the peer.
   */
  async handOut(peer: string): Promise<{ order: Order | null; links: Link[] } | null> {
    const order = this.state.durable.admissions[peer] ?? null;
    const links = await this.archive.linksFrom(order?.body.ancestorEpoch ?? 0);
    const isListed = links.some(({ value }) => value.roster.some((member) => member.peer === peer));
    return isListed ? { order, links } : null;
  }

  /**
   * Hands in an operators' order. Resolves when it is durable.
   * @throws ProtocolError (as a rejection) when the order does not fit the newest value
   */
  async submitOrder(order: Order): Promise<void> {
    checkFits(this.#state, order);
    await this.dispatch({ type: 'order', order });
  }

  submitDealings(packets: Packet[]): Promise<void> {
    return this.dispatch({ type: 'dealings', packets });
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    try {
      while (this.#inbox.length > 0 && !this.#stopped) await this.#performBatch();
    } catch (error) {
      this.#stopped = true;
      this.#options.onFailure(error as Error);
    } finally {
      this.#draining = false;
    }
  }

  async #performBatch(): Promise<void> {
    const batch = this.#inbox.take(batchMax);
    const outputs: Output[] = [];
    for (const { input } of batch) {
      const { clock, randomBytes } = this.#options;
      const stamp: Stamp = { atMs: clock.nowMs(), wallMs: clock.wallMs(), entropy: randomBytes(32) };
      const result = step(this.#state, { ...input, ...stamp } as Input);
      this.#state = result.state;
      outputs.push(...result.outputs);
    }
    const reached = this.#state;
    await this.#persist(outputs);
    this.#durableState = reached;
    for (const { done } of batch) done?.();
    if (this.#stopped) return;
    for (const output of outputs) {
      this.#perform(output);
      this.#options.onOutput?.(output);
    }
    this.#reauthenticate();
    this.#armTick();
    // A lost connection is shown to people, although the core has nothing to do.
    const told = outputs.length > 0 || batch.some(({ input }) => input.type === 'disconnected');
    if (told) for (const listener of this.#listeners) listener();
  }

  /**
   * Writes every `persist` of the batch in one transaction. It is durable before any output of the batch
   * leaves.
   */
  async #persist(outputs: readonly Output[]): Promise<void> {
    const puts = new Map<string, Uint8Array>();
    const deletes = new Set<string>();
    let rotate = false;
    for (const output of outputs) {
      if (output.type !== 'persist') continue;
      for (const key of output.deletes) {
        puts.delete(key);
        deletes.add(key);
      }
      for (const [key, value] of output.puts) {
        deletes.delete(key);
        puts.set(key, value);
      }
      rotate ||= output.rotate;
    }
    if (puts.size + deletes.size === 0 && !rotate) return;
    await this.#options.store.commit({ puts: [...puts], deletes: [...deletes] }, { rotate });
  }

  #perform(output: Output): void {
    const { transport, log } = this.#options;
    switch (output.type) {
      case 'persist':
        return;
      case 'send':
        return transport.send(output.to, frameEnvelope.encode(output.frame));
      case 'send-links':
        void this.#sendLinks(output.to, output.first);
        return;
      case 'publish':
        return transport.publish(frameEnvelope.encode(output.frame));
      case 'compute':
        return this.#compute(output.tag, output.job);
      case 'roster':
        void this.#setMembers(output.members).catch((error: Error) =>
          log.error({ err: error }, 'the roster could not be set'),
        );
        return;
      case 'rule':
        return log.debug({ rule: output.rule, ...output.detail }, output.rule);
      case 'refused':
        if (output.action === 'reject') {
          log.warn({ from: output.from, code: output.code, reason: output.why }, 'refused');
          transport.reproach(output.from);
        } else if (output.code === 'other-version' && this.#isNewer(output.from))
          log.warn({ from: output.from, reason: output.why }, 'a member speaks a later version');
        else log.debug({ from: output.from, code: output.code, reason: output.why }, 'ignored');
        return;
    }
  }

  /** Whether a sender of a later version is a member, and the first time that this is asked. */
  #isNewer(from: string): boolean {
    if (this.#newer.has(from) || !this.#listed.some(({ peer }) => peer === from)) return false;
    this.#newer.add(from);
    return true;
  }

  /**
   * Gives each peer one answer at a time. So a peer that asks again and again makes this peer read no faster.
   */
  async #sendLinks(to: string, first: number): Promise<void> {
    if (this.#catchingUp.has(to)) return;
    this.#catchingUp.add(to);
    const links = await this.archive.linksFrom(first);
    this.#catchingUp.delete(to);
    if (links.length > 0 && !this.#stopped)
      this.#options.transport.send(to, frameEnvelope.encode({ type: 'links', links }));
  }

  #compute(tag: JobTag, job: Job): void {
    const { compute, log } = this.#options;
    compute(job)
      // A worker that died takes its job along. The job itself is a pure function, so it can run again.
      .catch(() => compute(job))
      .catch((error: unknown): JobResult => ({ kind: 'failed', cause: causeOf(error) }))
      .then((result) => {
        if (result.kind === 'failed')
          log.warn({ job: job.kind, reason: result.cause }, 'a computation failed; it is tried again');
        return this.dispatch({ type: 'computed', tag, result });
      });
  }

  /**
   * Proves connections anew after a change, when the epoch key of either end was replaced. The end that keeps
   * its key may adopt the value first, and then it asks too early. The end that adopts last succeeds. A newer
   * roster may also make a handshake possible that failed while one side was behind.
   *
   * This runs once for all values that a batch adopts. A member that catches up takes many values at once,
   * and it cannot prove itself before the last.
   */
  #reauthenticate(): void {
    const { transport } = this.#options;
    const [before, now] = [this.#proven, headOf(this.#durableState)];
    if (before.epoch === now.epoch) return;
    this.#proven = now;
    const authenticated = new Set(transport.authenticated());
    const keyIn = ({ roster }: Value, peer: string): string => {
      const member = roster.find((listed) => listed.peer === peer);
      return member ? hex(member.epochKey) : '';
    };
    const isReplaced = (peer: string): boolean => keyIn(before, peer) !== keyIn(now, peer);
    const self = isReplaced(this.#state.peer);
    for (const peer of transport.connected())
      if (self || isReplaced(peer) || !authenticated.has(peer)) transport.reauthenticate(peer);
  }

  #armTick(): void {
    this.#cancelTick?.();
    this.#cancelTick = null;
    const at = nextTickAtMs(this.#state);
    if (at === null || this.#stopped) return;
    const delay = Math.max(1, Math.ceil(at - this.#options.clock.nowMs()));
    this.#cancelTick = this.#options.clock.schedule(delay, () => void this.dispatch({ type: 'tick' }));
  }

  /**
   * Lets the listed members in. A peer that is no longer listed keeps its connection for a moment, to learn
   * why. A member that is itself evicted lets nobody in.
   */
  async #setMembers(members: readonly Member[]): Promise<void> {
    const { clock, log, transport } = this.#options;
    const roster = members.some(({ peer }) => peer === transport.peerId) ? members : [];
    const leaving = this.#listed.filter(({ peer }) => !roster.some((member) => member.peer === peer));
    this.#listed = roster;
    await this.#listMembers([...roster, ...leaving]);
    if (leaving.length === 0) return;
    clock.schedule(leaveMs, () => {
      if (this.#listed !== roster || this.#stopped) return;
      this.#listMembers(roster).catch((error: Error) =>
        log.error({ err: error }, 'the roster could not be set'),
      );
    });
  }

  async #listMembers(members: readonly Member[]): Promise<void> {
    const { transport, addressesOf } = this.#options;
    await transport.setMembers(
      members
        .filter(({ peer }) => peer !== transport.peerId)
        .map((member) => ({ peer: member.peer, addresses: addressesOf(member) })),
    );
  }

  #handlers(): TransportHandlers {
    return {
      onMessage: (from, frame, via, authenticated) => {
        if (frame.length > limits.frameBytesMax) return undefined;
        if (via === 'gossip') return this.#receive({ type: 'gossip', from, frame });
        return this.#receive({ type: 'frame', from, authenticated, frame });
      },
      onConnect: (peer) => void this.dispatch({ type: 'connected', peer }),
      onAuthenticated: (peer) => void this.dispatch({ type: 'authenticated', peer }),
      onUnauthenticated: (peer) => void this.dispatch({ type: 'unauthenticated', peer }),
      onDisconnect: (peer) => void this.dispatch({ type: 'disconnected', peer }),
      onRequest: this.#options.onRequest,
    };
  }

  /** Protocol §4: each side signs both peer ids and the other's nonce with its listed epoch key. */
  #authenticator(): EpochAuthenticator {
    const digest = (challenge: Uint8Array) =>
      hashOf('holdfast/handshake/1', this.#state.clusterId, challenge);
    return {
      prove: (challenge) => {
        const secret = listedSecret(this.#state);
        return secret
          ? { epoch: headOf(this.#state).epoch, signature: sign(secret, digest(challenge)) }
          : null;
      },
      check: (peer, challenge, proof) => {
        // A peer that is behind proves itself with the key of an older roster. That counts only while it is
        // still the listed key.
        const now = headOf(this.#state).roster.find((listed) => listed.peer === peer);
        return now !== undefined && verify(now.epochKey, digest(challenge), proof.signature);
      },
    };
  }
}
