/**
 * A member that was broken into. It runs the real code and holds its real keys. It bends what it computes and
 * sends.
 */

import type { Job, JobResult } from '../../protocol/machine/io.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import {
  type Carried,
  type Frame,
  frameEnvelope,
  hashOfRecalled,
  type Message,
  memorySchema,
  messageSchema,
} from '../../protocol/records/change-messages.ts';
import { decode } from '../../protocol/records/codec.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import { drawnBytes } from '../world/seeded-random.ts';
import type { Peer, World } from '../world/world.ts';
import { forgedAs, signedAs } from './forging.ts';

/** One way to lie. Each function changes one path of the liar. */
export interface Lie {
  /** The frames that `to` gets instead of the liar's own message. Null leaves the message as it is. */
  message?: (liar: Liar, to: Peer, message: Message, carried: Carried) => Frame[] | null;
  /** The same for any other frame of the liar, and for messages of others that it passes on. */
  frame?: (liar: Liar, to: Peer, frame: Frame) => Frame[] | null;
  /** The messages that the liar's own code does not get. */
  misses?: (message: Message) => boolean;
  /** The result that the liar's core gets. Null leaves the job to the honest code. */
  job?: (liar: Liar, job: Job, run: (job: Job) => JobResult) => JobResult | null;
  /** Called again and again, and may send anything. False when it had nothing to send. */
  act?: (liar: Liar) => boolean | undefined;
}

/** One liar with its lies. */
export class Liar {
  readonly world: World;
  readonly peer: Peer;
  /** 0 for the first liar of the run, 1 for the second, and so on. So liars agree on who says what. */
  readonly order: number;
  readonly random: () => number;
  /** Frames that the liar saw or sent, for replays. */
  readonly heard: Uint8Array[] = [];
  lying = true;
  readonly #lies: ReadonlyArray<readonly [name: string, lie: Lie]>;
  readonly #told: (name: string) => void;
  #injecting = false;

  constructor(options: {
    world: World;
    peer: Peer;
    order: number;
    random: () => number;
    lies: ReadonlyArray<readonly [string, Lie]>;
    told: (name: string) => void;
  }) {
    this.world = options.world;
    this.peer = options.peer;
    this.order = options.order;
    this.random = options.random;
    this.#lies = options.lies;
    this.#told = options.told;
  }

  get state(): CoreState | null {
    return this.peer.driver?.state ?? null;
  }

  /**
   * Whether this peer is told the lie. Half of the peers are, and the answer for a peer never changes. Allies
   * tell lies to the same half, and the truth to each other.
   */
  tells(to: Peer): boolean {
    const { alliance, seed } = this.world.options;
    if (alliance !== null && to.faulty === 'lies') return false;
    return (to.index + (alliance === null ? this.peer.index : 0) + seed) % 2 === 0;
  }

  randomBytes = (length: number): Uint8Array => drawnBytes(this.random, length);

  chance(share: number): boolean {
    return this.random() < share;
  }

  /** Frames with a message under the liar's present epoch key. The message names the hash of its evidence. */
  forge(message: object, extra: Omit<Carried, 'packet'> = {}): Frame[] {
    const frame = this.state && forgedAs(this.state, message, extra);
    return frame === null ? [] : [frame];
  }

  /** Signs any body with the liar's present epoch key, as version 1. Null when the liar is no member. */
  sign(body: object): Packet | null {
    return this.state && signedAs(this.state, body);
  }

  send(to: Peer, frame: Frame | Uint8Array): void {
    this.#injecting = true;
    this.peer.transport?.send(to.peer, frame instanceof Uint8Array ? frame : frameEnvelope.encode(frame));
    this.#injecting = false;
  }

  publish(frame: Frame): void {
    this.#injecting = true;
    this.peer.transport?.publish(frameEnvelope.encode(frame));
    this.#injecting = false;
  }

  get others(): Peer[] {
    return this.world.peers.filter((peer) => peer !== this.peer);
  }

  /** The frames that leave the liar instead of `bytes`. */
  bend(to: Peer, bytes: Uint8Array): Uint8Array[] {
    if (!this.lying || this.#injecting) return [bytes];
    this.#hear(bytes);
    const frame = frameEnvelope.decode(bytes);
    const own = frame.type === 'message' ? messageIn(frame.message) : null;
    for (const [name, lie] of this.#lies) {
      const bent =
        frame.type === 'message' && own?.by === this.peer.index
          ? (lie.message?.(this, to, own, frame.message) ?? null)
          : (lie.frame?.(this, to, frame) ?? null);
      if (bent === null) continue;
      this.#told(name);
      return bent.map((each) => frameEnvelope.encode(each));
    }
    return [bytes];
  }

  /**
   * The bytes that reach the liar's own code, or null. Its own words must not come back: the restart rule
   * would mute it.
   */
  receives(bytes: Uint8Array): Uint8Array | null {
    this.#hear(bytes);
    const frame = frameIn(bytes);
    if (frame === null) return null; // it is noise of another liar
    if (frame.type === 'recalled') return this.#forgets(frame);
    const message = frame.type === 'message' ? messageIn(frame.message) : null;
    if (message === null) return bytes;
    if (this.lying && this.#lies.some(([, lie]) => lie.misses?.(message))) return null;
    return message.by === this.peer.index ? null : bytes;
  }

  /**
   * The same answer without the liar's own words. The simulator has the keys of all members, and signs it
   * anew.
   */
  #forgets({ packet }: Extract<Frame, { type: 'recalled' }>): Uint8Array | null {
    const memory = decode(memorySchema, packet.body);
    const { state } = this.world.peerAt(memory.by).driver ?? {};
    const emptied = state && signedAs(state, { ...memory, packets: hashOfRecalled([]) });
    return emptied ? frameEnvelope.encode({ type: 'recalled', packet: emptied, packets: [] }) : null;
  }

  /** The result of a job, bent by the first lie that changes it. */
  job(job: Job, run: (job: Job) => JobResult): JobResult {
    if (this.lying)
      for (const [name, lie] of this.#lies) {
        const result = lie.job?.(this, job, run) ?? null;
        if (result === null) continue;
        this.#told(name);
        return result;
      }
    return run(job);
  }

  /** Lets every lie act once. */
  act(): void {
    if (!this.lying || this.state === null) return;
    for (const [name, lie] of this.#lies)
      if (lie.act !== undefined && lie.act(this) !== false) this.#told(name);
  }

  #hear(bytes: Uint8Array): void {
    if (this.heard.length < 400 && bytes.length < 100_000 && this.random() < 0.1)
      this.heard.push(bytes.slice());
  }
}

/** An honest member that this liar picks. Another `n` gives another member, and so does another liar. */
export function honestVictim({ world, order }: Liar, n = 0): Peer {
  const honest = world.peers.filter(({ faulty }) => faulty !== 'lies');
  return honest[(order + n) % honest.length] as Peer;
}

const frameIn = (bytes: Uint8Array): Frame | null => {
  try {
    return frameEnvelope.decode(bytes);
  } catch {
    return null;
  }
};

const messageIn = (carried: Carried): Message | null => {
  try {
    return decode(messageSchema, carried.packet.body);
  } catch {
    return null;
  }
};
