/**
 * The working copy of one step. A section is copied at its first write, and entries never change. When a step
 * throws, its working copy is dropped, and the state before it stays untouched.
 */

import { hkdfSync } from 'node:crypto';
import { encode, hex } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import { present } from '../records/present.ts';
import type { Value } from '../records/value.ts';
import type { Blame, Durable, KeyIn, RecordIn, Section } from './durable-state.ts';
import type { Job, Output } from './io.ts';
import type { JobTag } from './job-tags.ts';
import { blameKey, epochOfKey } from './record-keys.ts';
import type { PrintedName } from './rule-names.ts';
import type { CoreState } from './state.ts';
import type { Volatile } from './volatile-state.ts';

/** The bounds on the blames of one member. The newest are kept. */
export const blamesOfMember = {
  countMax: limits.blamesPerMemberMax,
  bytesMax: limits.blameBytesPerMemberMax,
};

/** The working copy. `Prints` has the names that may be printed with it (`rule-names.ts`). */
export class Work<in Prints extends PrintedName = never> {
  readonly before: CoreState;
  readonly durable: Durable;
  readonly volatile: Volatile;
  readonly outputs: Output[] = [];
  /** Retire sets this. The store then takes a new key and erases every older byte. */
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

  /** Adds or replaces one record. */
  put<S extends Section>(section: S, key: KeyIn<S>, record: RecordIn<S>): void {
    this.durable[section] = { ...this.durable[section], [key]: record };
  }
  /** Keeps the records of a section that pass, and drops the others. */
  retain<S extends Section>(section: S, passes: (key: string, record: RecordIn<S>) => boolean): void {
    const kept = { ...this.durable[section] };
    let isWhole = true;
    for (const key in kept) {
      if (passes(key, kept[key])) continue;
      delete kept[key];
      isWhole = false;
    }
    if (!isWhole) this.durable[section] = kept;
  }
  clear(section: Section): void {
    this.retain(section, () => false);
  }
  own(change: Partial<Durable['own']>): void {
    this.durable.own = { ...this.durable.own, ...change };
  }
  /** Stores this member's new shares. They are in the order of the value's keys. */
  putShares({ epoch, keys }: Value, shares: readonly Uint8Array[]): void {
    this.put(
      'shares',
      epoch,
      Object.fromEntries(keys.map((key, at) => [hex(key.id), present(shares[at], 'a share of each key')])),
    );
  }
  emit(output: Output): void {
    this.outputs.push(output);
  }
  rule(rule: Prints, detail: Record<string, string | number> = {}): void {
    this.emit({ type: 'rule', rule, detail });
  }
  blame(blame: Blame): void {
    const key = blameKey(blame);
    if (key in this.durable.blames) return;
    this.put('blames', key, blame);
    this.keepNewest('blames', (_, { by }) => by === blame.by, blamesOfMember);
  }
  /**
   * Keeps the newest records among those that pass, within the bounds. The keys of the section begin with an
   * epoch.
   */
  keepNewest<S extends 'blames' | 'accusations' | 'pauses' | 'destroyed'>(
    section: S,
    passes: (key: string, record: RecordIn<S>) => boolean,
    { countMax, bytesMax = Number.POSITIVE_INFINITY }: { countMax: number; bytesMax?: number },
  ): void {
    const records = this.durable[section];
    const newestFirst: [key: string, record: RecordIn<S>][] = [];
    for (const key in records) if (passes(key, records[key])) newestFirst.push([key, records[key]]);
    newestFirst.sort(([a], [b]) => epochOfKey(b) - epochOfKey(a));
    let bytes = 0;
    const dropped = newestFirst.filter(([, record], at) => {
      if (bytesMax !== Number.POSITIVE_INFINITY) bytes += encode(record).length;
      return at >= countMax || bytes > bytesMax;
    });
    if (dropped.length === 0) return;
    const keys = new Set(dropped.map(([key]) => key));
    this.retain(section, (key) => !keys.has(key));
  }

  /** Fresh secret bytes of this step. HKDF-SHA-256 expands them from the input's entropy. */
  draw(length: number): Uint8Array {
    this.#drawn += 1;
    return new Uint8Array(
      hkdfSync('sha256', this.#entropy, new Uint8Array(0), `holdfast/draw/${this.#drawn}`, length),
    );
  }

  /** Starts a job. False when a job with this tag runs, or failed a moment ago: then it does not start. */
  compute(tag: JobTag, job: Job): boolean {
    if (this.volatile.jobs[tag] || this.nowMs < (this.volatile.failing[tag]?.retryAtMs ?? 0)) return false;
    this.volatile.jobs = { ...this.volatile.jobs, [tag]: 'under way' };
    this.emit({ type: 'compute', tag, job });
    return true;
  }
}
