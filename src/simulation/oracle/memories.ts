/**
 * The restart rule as the oracle sees it (§4): a member's wait ends after answers of a quorum. Each answer
 * must be real, and in the name of its author. Liars may add as many answers as there are liars.
 */

import type { Output } from '../../protocol/machine/io.ts';
import { memorySchema } from '../../protocol/records/change-messages.ts';
import { decode, hex } from '../../protocol/records/codec.ts';
import type { Peer } from '../world/world.ts';

/** The questions and answers of restarted members. */
export class Memories {
  /** The nonce of each member's present wait, by peer id. */
  readonly #asked = new Map<string, string>();
  /** The honest members that answered each nonce. */
  readonly #answered = new Map<string, Set<string>>();

  /** @returns what is wrong with this output, or null */
  judge(peer: Peer, output: Output, liars: number): string | null {
    if (output.type === 'send' && output.frame.type === 'recall')
      this.#asked.set(peer.peer, hex(output.frame.nonce));
    if (output.type === 'send' && output.frame.type === 'recalled' && peer.faulty !== 'lies') {
      const nonce = hex(decode(memorySchema, output.frame.packet.body).nonce);
      const answered = this.#answered.get(nonce) ?? new Set();
      this.#answered.set(nonce, answered.add(peer.peer));
    }
    if (output.type !== 'rule' || output.rule !== 'recalled' || peer.faulty === 'lies') return null;
    const honest = this.#answered.get(this.#asked.get(peer.peer) ?? '')?.size ?? 0;
    const answers = Number(output.detail.answers);
    return answers > honest + liars
      ? `${peer.name} signs again after ${answers} answers, and ${honest} were given`
      : null;
  }
}
