/**
 * Verification keys of whole epochs, for whoever reads history. They are exponentiations for every member and
 * key, half a second for the largest group: workers compute them, one epoch at a time, so that no reader
 * holds up this peer.
 */
import { BoundedCache } from '../../crypto/bounded-cache.ts';
import { hex } from '../../protocol/records/codec.ts';
import type { Link } from '../../protocol/records/link.ts';
import { hashOfValue } from '../../protocol/records/value.ts';
import { DaemonError } from '../errors.ts';
import type { EpochView } from './view.ts';

type Keys = EpochView['verificationKeys'];

/** Of this many epochs; they are the same for ever. */
const keptMax = 32;
/** Epochs that may wait for their turn. */
const waitingMax = 16;

export class VerificationKeys {
  readonly #compute: (link: Link) => Promise<Keys>;
  /** By the hash of the value. */
  readonly #kept = new BoundedCache<string, Promise<Keys>>(keptMax);
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(compute: (link: Link) => Promise<Keys>) {
    this.#compute = compute;
  }

  /** Rejects with `DaemonError('busy')` when too many other epochs wait. */
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
      .catch(() => this.#kept.delete(id)) // whoever asked is told, and the next one tries again
      .finally(() => {
        this.#waiting -= 1;
      });
    return keys;
  }
}
