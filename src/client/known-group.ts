/** What a client knows of its group without a word from a daemon, and where it keeps what it has checked. */
import type { Genesis } from '../protocol/records/genesis.ts';
import type { Link } from '../protocol/records/link.ts';
import type { Order } from '../protocol/records/order.ts';

export interface KnownGroup {
  /** Pinned: whatever a daemon shows must follow from it. */
  readonly genesis: Genesis;
  /** The id of the genesis, 32 bytes. */
  readonly cluster: Uint8Array;
  /** The newest certified value that was ever seen; null before the first. */
  seen(): Link | null;
  /** Keeps what `seen` returns from now on, in another process too. */
  keep(newest: Link): void;
  /**
   * The order by which the client's own peer came to a group that was there already, and where it lies; null
   * for a founder's. Its daemon's chain begins with the value that the order names.
   */
  admission(): { order: Order; source: string } | null;
}
