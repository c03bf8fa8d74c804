/** Counts what each member uses of its quotas, and cuts off members that pass one. */
import type { Log } from '../log.ts';
import { Bucket } from './bucket.ts';
import { cutOffForgottenMs, cutOffMsMax, cutOffMsMin, type QuotaName, quotas } from './quotas.ts';
import type { CutOff } from './transport.ts';

interface Standing {
  buckets: Map<QuotaName, Bucket>;
  /** The last cut-off. Null when there was none. */
  last: { reason: string; times: number; untilMs: number; lengthMs: number } | null;
}

interface QuotaEnforcerOptions {
  /** Monotonic time in milliseconds. */
  nowMs: () => number;
  /** Closes every connection of the peer. */
  disconnect: (peer: string, reason: string) => void;
  log: Log;
}

/**
 * The quotas of all members. The roster bounds it: only members get a connection, and a member that leaves is
 * forgotten.
 */
export class QuotaEnforcer {
  readonly #options: QuotaEnforcerOptions;
  readonly #standings = new Map<string, Standing>();

  constructor(options: QuotaEnforcerOptions) {
    this.#options = options;
  }

  /**
   * Counts against a quota. False when the peer has passed the quota, or is cut off already. Passing it cuts
   * the peer off.
   */
  spend(peer: string, name: QuotaName, amount = 1): boolean {
    if (this.isCutOff(peer)) return false;
    if (this.#bucket(peer, name).spend(this.#options.nowMs(), amount)) return true;
    this.#cutOff(peer, quotas[name].excess);
    return false;
  }

  /** Counts against a quota that cuts nobody off. Gives the milliseconds to wait before going on. */
  pace(peer: string, name: QuotaName): number {
    return this.#bucket(peer, name).pace(this.#options.nowMs());
  }

  isCutOff(peer: string): boolean {
    const untilMs = this.#standings.get(peer)?.last?.untilMs;
    return untilMs !== undefined && untilMs > this.#options.nowMs();
  }

  /** The members that were cut off and whose cut-offs are not forgotten yet. */
  cutOffs(): CutOff[] {
    const nowMs = this.#options.nowMs();
    return [...this.#standings].flatMap(([peer, { last }]) =>
      last === null || last.untilMs + cutOffForgottenMs < nowMs
        ? []
        : [{ peer, reason: last.reason, times: last.times, forMs: Math.max(0, last.untilMs - nowMs) }],
    );
  }

  /** Forgets all peers that are no members. */
  keep(isMember: (peer: string) => boolean): void {
    for (const peer of this.#standings.keys()) if (!isMember(peer)) this.#standings.delete(peer);
  }

  #standing(peer: string): Standing {
    let standing = this.#standings.get(peer);
    if (standing === undefined) {
      standing = { buckets: new Map(), last: null };
      this.#standings.set(peer, standing);
    }
    return standing;
  }

  #bucket(peer: string, name: QuotaName): Bucket {
    const { buckets } = this.#standing(peer);
    const bucket = buckets.get(name) ?? new Bucket(quotas[name], this.#options.nowMs());
    buckets.set(name, bucket);
    return bucket;
  }

  #cutOff(peer: string, reason: string): void {
    const standing = this.#standing(peer);
    const nowMs = this.#options.nowMs();
    const before =
      standing.last !== null && standing.last.untilMs + cutOffForgottenMs > nowMs ? standing.last : null;
    const lengthMs = before === null ? cutOffMsMin : Math.min(cutOffMsMax, 2 * before.lengthMs);
    const times = (before?.times ?? 0) + 1;
    standing.last = { reason, times, untilMs: nowMs + lengthMs, lengthMs };
    this.#options.log.warn({ peer, reason, count: times, waitMs: lengthMs }, 'a member is cut off');
    this.#options.disconnect(peer, reason);
  }
}
