/**
 * What waits for the driver's next steps, in the order in which it came, with a bound on what each member may have in it:
 * one that sends faster than we step waits itself, and the others' frames never stand behind more than its share.
 */
import { strict as assert } from 'node:assert';
import { limits } from '../../protocol/limits.ts';

export const inboxLimits = {
  /** A member whose waiting frames reach either is asked to pause … */
  pauseFrames: 128,
  pauseBytes: 8 * 1024 * 1024,
  /** … and what it sends nevertheless (gossip cannot pause) is dropped beyond these. */
  framesMax: 512,
  bytesMax: 16 * 1024 * 1024,
} as const;

assert(inboxLimits.pauseFrames < inboxLimits.framesMax);
// The longest frame fits when the member has nothing else waiting, and also just before it is asked to pause.
assert(inboxLimits.pauseBytes + limits.frameBytesMax <= inboxLimits.bytesMax);

interface Share {
  frames: number;
  bytes: number;
  /** Settles when the member has little enough waiting again; null while it has. */
  room: PromiseWithResolvers<void> | null;
}

interface Entry<Item> {
  item: Item;
  from: string | null;
  bytes: number;
}

export class Inbox<Item> {
  readonly #entries: Entry<Item>[] = [];
  readonly #shares = new Map<string, Share>();
  #dropped = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** Frames that were dropped because their sender had too many waiting. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Something of our own: always taken. */
  push(item: Item): void {
    this.#entries.push({ item, from: null, bytes: 0 });
  }

  /** A member's frame, or nothing when it has too much waiting. A promise resolves when its next one may come. */
  pushFrom(from: string, bytes: number, item: Item): Promise<void> | undefined {
    const share = this.#shares.get(from) ?? { frames: 0, bytes: 0, room: null };
    const taken = share.frames < inboxLimits.framesMax && share.bytes + bytes <= inboxLimits.bytesMax;
    if (taken) {
      share.frames += 1;
      share.bytes += bytes;
      this.#shares.set(from, share);
      this.#entries.push({ item, from, bytes });
    } else this.#dropped += 1;
    if (!isFull(share)) return undefined;
    share.room ??= Promise.withResolvers();
    return share.room.promise;
  }

  /** The oldest `count`, or all when there are fewer. */
  take(count: number): Item[] {
    return this.#entries.splice(0, count).map((entry) => {
      this.#release(entry);
      return entry.item;
    });
  }

  #release({ from, bytes }: Entry<Item>): void {
    const share = from === null ? undefined : this.#shares.get(from);
    if (share === undefined || from === null) return;
    share.frames -= 1;
    share.bytes -= bytes;
    if (share.frames === 0) this.#shares.delete(from);
    if (isFull(share)) return;
    share.room?.resolve();
    share.room = null;
  }
}

const isFull = ({ frames, bytes }: Share): boolean =>
  frames >= inboxLimits.pauseFrames || bytes >= inboxLimits.pauseBytes;
