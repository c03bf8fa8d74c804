/**
 * How long something has been so: the chain from the newest verified value backwards, which holds the hashes
 * of those before it, so that the daemon can leave out what is old but invent nothing.
 */

import { sameBytes } from '../protocol/records/codec.ts';
import { limits } from '../protocol/records/limits.ts';
import type { Link } from '../protocol/records/link.ts';
import { hashAt, hashOfValue, type Value } from '../protocol/records/value.ts';
import { type ApiClient, ApiError } from './api-client.ts';

interface Since {
  /** The first value of those in which it holds without a break up to the newest. */
  value: Value;
  /** The value before, in which it does not hold; null where the chain known here does not go back so far. */
  before: Value | null;
}

/** No order that could be meant is older. */
const epochsMax = limits.orderAgeEpochsMax;

export class History {
  readonly #daemon: ApiClient;
  /** From the newest on backwards. */
  readonly #values: Value[];
  #ended = false;

  constructor(head: Value, daemon: ApiClient) {
    this.#daemon = daemon;
    this.#values = [head];
  }

  /** Since when `holds` is true of every value; null when it is not true of the newest. */
  async since(holds: (value: Value) => boolean): Promise<Since | null> {
    let since: Value | null = null;
    for (let at = 0; ; at += 1) {
      const value = await this.#at(at);
      if (value === null || !holds(value)) return since === null ? null : { value: since, before: value };
      since = value;
    }
  }

  /** The value `back` epochs before the newest; null when it is not known. */
  async #at(back: number): Promise<Value | null> {
    if (back > epochsMax) return null;
    if (this.#values[back] === undefined && !this.#ended) await this.#more();
    return this.#values[back] ?? null;
  }

  async #more(): Promise<void> {
    const [head] = this.#values as [Value];
    const oldest = head.epoch - this.#values.length + 1;
    const links = oldest === 0 ? [] : await this.#linksBefore(oldest);
    const byEpoch = new Map(links.map(({ value }) => [value.epoch, value]));
    const { length } = this.#values;
    for (let epoch = oldest - 1; ; epoch -= 1) {
      const value = byEpoch.get(epoch);
      const hash = hashAt(head, epoch);
      if (value === undefined || hash === undefined || !sameBytes(hashOfValue(value), hash)) break;
      this.#values.push(value);
    }
    this.#ended = this.#values.length === length;
  }

  /** The last ones before `epoch` that the daemon keeps: a member that joined later has none of the first. */
  async #linksBefore(epoch: number): Promise<Link[]> {
    for (let back: number = limits.linksPerFrameMax; back >= 1; back = Math.floor(back / 2))
      try {
        return await this.#daemon.links(Math.max(0, epoch - back));
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== 'unknown') throw error;
      }
    return [];
  }
}
