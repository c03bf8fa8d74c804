/**
 * One step's working copy: sections are copied on their first write, entries never change. A step that throws is thrown
 * away whole; the state it began with is untouched.
 */
import { hkdfSync } from 'node:crypto';
import { encode, hex } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import type { Value } from '../records/value.ts';
import type { Job, Output } from './io.ts';
import type { JobTag } from './job-tags.ts';
import type { PrintedName } from './rule-names.ts';
import type { Blame, CoreState, Durable, Volatile } from './state.ts';

type Section = Exclude<keyof Durable, 'own'>;

/** `Prints`: the names that may be printed with it (`rule-names.ts`). */
export class Work<in Prints extends PrintedName = never> {
  readonly before: CoreState;
  readonly durable: Durable;
  readonly volatile: Volatile;
  readonly outputs: Output[] = [];
  /** Set by Retire: the store re-keys itself and erases every older byte. */
  rotate = false;
  readonly #entropy: Uint8Array;
  #drawn = 0;

  constructor(before: CoreState, entropy: Uint8Array) {
    this.before = before;
    this.durable = { ...before.durable };
    this.volatile = { ...before.volatile };
    this.#entropy = entropy;
  }

  get genesis() {
    return this.before.genesis;
  }
  get clusterId() {
    return this.before.clusterId;
  }
  get peer() {
    return this.before.peer;
  }
  get timing() {
    return this.before.timing;
  }
  get nowMs() {
    return this.volatile.nowMs;
  }

  put<S extends Section>(section: S, key: string | number, record: Durable[S][string]): void {
    this.durable[section] = { ...this.durable[section], [key]: record };
  }
  /** Keeps the records of a section whose keys pass, and drops the others. */
  retain(section: Section, passes: (key: string) => boolean): void {
    const kept = Object.entries(this.durable[section]).filter(([key]) => passes(key));
    if (kept.length !== Object.keys(this.durable[section]).length)
      (this.durable as unknown as Record<string, unknown>)[section] = Object.fromEntries(kept);
  }
  clear(section: Section): void {
    this.retain(section, () => false);
  }
  own(change: Partial<Durable['own']>): void {
    this.durable.own = { ...this.durable.own, ...change };
  }
  /** This member's new shares, in the order of the value's keys. */
  putShares({ epoch, keys }: Value, shares: readonly Uint8Array[]): void {
    this.put(
      'shares',
      epoch,
      Object.fromEntries(keys.map((key, at) => [hex(key.id), shares[at] as Uint8Array])),
    );
  }
  emit(output: Output): void {
    this.outputs.push(output);
  }
  rule(rule: Prints, detail: Record<string, string | number> = {}): void {
    this.emit({ type: 'rule', rule, detail });
  }
  blame(blame: Blame): void {
    const key = `${blame.epoch}/${blame.by}/${blame.kind}`;
    if (key in this.durable.blames) return;
    this.put('blames', key, blame);
    this.keepNewest('blames', (other) => other.split('/')[1] === String(blame.by), {
      countMax: limits.blamesPerMemberMax,
      bytesMax: limits.blameBytesPerMemberMax,
    });
  }
  /**
   * Of the records whose keys pass and begin with an epoch, drops the oldest until the others are within the
   * bounds.
   */
  keepNewest(
    section: Section,
    passes: (key: string) => boolean,
    { countMax, bytesMax = Number.POSITIVE_INFINITY }: { countMax: number; bytesMax?: number },
  ): void {
    const newestFirst = Object.entries(this.durable[section])
      .filter(([key]) => passes(key))
      .sort(([a], [b]) => Number(b.split('/')[0]) - Number(a.split('/')[0]));
    let bytes = 0;
    const dropped = newestFirst.filter(([, record], at) => {
      if (bytesMax !== Number.POSITIVE_INFINITY) bytes += encode(record).length;
      return at >= countMax || bytes > bytesMax;
    });
    if (dropped.length === 0) return;
    const keys = new Set(dropped.map(([key]) => key));
    this.retain(section, (key) => !keys.has(key));
  }

  /** Fresh secret bytes of this step, expanded from the input's entropy. */
  draw(length: number): Uint8Array {
    this.#drawn += 1;
    return new Uint8Array(
      hkdfSync('sha256', this.#entropy, new Uint8Array(0), `holdfast/draw/${this.#drawn}`, length),
    );
  }

  /** Starts a job unless one with this tag is under way, or failed a moment ago. */
  compute(tag: JobTag, job: Job): boolean {
    if (this.volatile.jobs[tag] || this.nowMs < (this.volatile.failing[tag]?.retryAtMs ?? 0)) return false;
    this.volatile.jobs = { ...this.volatile.jobs, [tag]: 'under way' };
    this.emit({ type: 'compute', tag, job });
    return true;
  }
}
