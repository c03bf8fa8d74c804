/**
 * The inputs that wait for the driver's next steps. Each member has a lane with its inputs in order. One more
 * lane has this peer's own inputs. The lanes take turns. So an input waits for at most one entry of each
 * other lane, even when a member sends faster than this peer steps. Each lane is bounded.
 */
import assert from 'node:assert/strict';
import { limits } from '../../protocol/records/limits.ts';

/** The bounds of a member's lane: frames, and bytes of all its frames. */
export const inboxLimits = {
  /** A member whose waiting frames reach one of these is asked to pause … */
  pauseFrames: 128,
  pauseBytes: 8 * 1024 * 1024,
  /** … and its further frames are dropped beyond these. Gossip cannot pause. */
  framesMax: 512,
  bytesMax: 16 * 1024 * 1024,
} as const;

assert(inboxLimits.pauseFrames < inboxLimits.framesMax);
// The longest frame has room when nothing else waits, and also just before the member is asked to pause.
assert(inboxLimits.pauseBytes + limits.frameBytesMax <= inboxLimits.bytesMax);

interface Lane<Item> {
  entries: Array<{ item: Item; isFrame: boolean; bytes: number }>;
  frames: number;
  bytes: number;
  /** Settles when the member may send again. Null while the member need not pause. */
  room: PromiseWithResolvers<void> | null;
}

/** The lane of this peer's own inputs: timers, results, the operator's wishes. */
const ours = '';

/** The lanes of all members, and this peer's own. */
export class Inbox<Item> {
  /** The lanes with waiting entries. The first lane has the next turn. */
  readonly #lanes = new Map<string, Lane<Item>>();
  #length = 0;
  #dropped = 0;

  get length(): number {
    return this.#length;
  }

  /** The number of frames that were dropped because their sender had too many waiting. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Adds an input of this peer itself. It is always taken. An input `of` a member (its connection is proven,
   * or gone) keeps its place among that member's frames.
   */
  push(item: Item, of: string = ours): void {
    this.#add(of, item, false, 0);
  }

  /**
   * Adds a member's frame of `bytes` bytes, or drops it when the member has too much waiting. A returned
   * promise resolves when the member may send its next frame.
   */
  pushFrom(from: string, bytes: number, item: Item): Promise<void> | undefined {
    const waiting = this.#lanes.get(from);
    const [frames, total] = [waiting?.frames ?? 0, waiting?.bytes ?? 0];
    let lane = waiting;
    if (frames < inboxLimits.framesMax && total + bytes <= inboxLimits.bytesMax)
      lane = this.#add(from, item, true, bytes);
    else this.#dropped += 1;
    if (lane === undefined || !isFull(lane)) return undefined;
    lane.room ??= Promise.withResolvers();
    return lane.room.promise;
  }

  /** Takes the next `count` entries in turn, or all when there are fewer. */
  take(count: number): Item[] {
    const taken: Item[] = [];
    for (const [from, lane] of this.#lanes) {
      if (taken.length >= count) break;
      const entry = lane.entries.shift();
      // A lane with more entries goes to the end, and this loop comes to it again there.
      this.#lanes.delete(from);
      if (lane.entries.length > 0) this.#lanes.set(from, lane);
      if (entry === undefined) continue;
      taken.push(entry.item);
      this.#length -= 1;
      if (entry.isFrame) lane.frames -= 1;
      lane.bytes -= entry.bytes;
      if (isFull(lane)) continue;
      lane.room?.resolve();
      lane.room = null;
    }
    return taken;
  }

  #add(from: string, item: Item, isFrame: boolean, bytes: number): Lane<Item> {
    const lane = this.#lanes.get(from) ?? { entries: [], frames: 0, bytes: 0, room: null };
    lane.entries.push({ item, isFrame, bytes });
    if (isFrame) lane.frames += 1;
    lane.bytes += bytes;
    this.#lanes.set(from, lane);
    this.#length += 1;
    return lane;
  }
}

const isFull = ({ frames, bytes }: { frames: number; bytes: number }): boolean =>
  frames >= inboxLimits.pauseFrames || bytes >= inboxLimits.pauseBytes;
