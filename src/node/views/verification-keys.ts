/**
 * Verification keys of whole epochs, for the history. They take an exponentiation for each member and key:
 * half a second for the largest group. Workers compute them, one epoch at a time. So a reader of history does
 * not hold up this peer.
 */
import { BoundedCache } from '../../crypto/bounded-cache.ts';
import { hex } from '../../protocol/records/codec.ts';
import type { Link } from '../../protocol/records/link.ts';
import { hashOfValue } from '../../protocol/records/value.ts';
import { DaemonError } from '../errors.ts';
import type { EpochView } from './view.ts';

type Keys = EpochView['verificationKeys'];

/** The keys of so many epochs are kept. They never change. */
const keptMax = 32;
/** At most so many epochs wait for their turn. */
const waitingMax = 16;

/** Computes verification keys, and keeps those of the last epochs. */
export class VerificationKeys {
  readonly #compute: (link: Link) => Promise<Keys>;
  /** By the hash of the value. */
  readonly #kept = new BoundedCache<string, Promise<Keys>>(keptMax);
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(compute: (link: Link) => Promise<Keys>) {
    this.#compute = compute;
  }

  /**
   * The verification keys of one epoch.
   * @throws DaemonError (as a rejection) `busy` when too many other epochs wait
   */
  async of(link: Link): Promise<Keys> {
    const id = hex(hashOfValue(link.value));
    if (!this.#kept.has(id) && this.#waiting >= waitingMax)
      throw new DaemonError(
        'busy',
        `verification keys of ${waitingMax} other epochs are asked for; ask again`,
      );
    return this.#kept.getOrCompute(id, () => this.#begin(id, link));
  }

  #begin(id: string, link: Link): Promise<Keys> {
    this.#waiting += 1;
    const keys = this.#turn.then(() => this.#compute(link));
    this.#turn = keys
      .catch(() => this.#kept.delete(id)) // The caller gets the error, and the next one tries again.
      .finally(() => {
        this.#waiting -= 1;
      });
    return keys;
  }
}
