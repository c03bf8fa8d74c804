/**
 * What waits for the driver's next steps: a lane for each member, in the order in which it sent, and one for
 * what we put in ourselves. The lanes take turns, so whatever comes stands behind at most one entry of each
 * other lane, however much a member that sends faster than we step has waiting; and what each may have
 * waiting is bounded.
 */
import assert from 'node:assert/strict';
import { limits } from '../../protocol/records/limits.ts';

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

interface Lane<Item> {
  entries: Array<{ item: Item; isFrame: boolean; bytes: number }>;
  frames: number;
  bytes: number;
  /** Settles when the member has little enough waiting again; null while it has. */
  room: PromiseWithResolvers<void> | null;
}

/** What belongs to no member: timers, results, what the operator wants. */
const ours = '';

export class Inbox<Item> {
  /** Those in which something waits; the first one's turn is next. */
  readonly #lanes = new Map<string, Lane<Item>>();
  #length = 0;
  #dropped = 0;

  get length(): number {
    return this.#length;
  }

  /** Frames that were dropped because their sender had too many waiting. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * What we say ourselves: always taken. What it says `of` a member (its connection is proven, or gone) stays in
   * order with that member's frames.
   */
  push(item: Item, of: string = ours): void {
    this.#add(of, item, false, 0);
  }

  /** A member's frame, or nothing when it has too much waiting. A promise resolves when its next one may come. */
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

  /** The next `count` in turn, or all when there are fewer. */
  take(count: number): Item[] {
    const taken: Item[] = [];
    for (const [from, lane] of this.#lanes) {
      if (taken.length >= count) break;
      const entry = lane.entries.shift();
      // A lane that goes on stands behind all others now, where this loop comes to it again.
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
