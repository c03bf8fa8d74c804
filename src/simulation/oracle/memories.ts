/**
 * The restart rule as an oracle sees it (§4): a member's wait ends by what a quorum really answered, each in
 * its own name. So many answers of liars may count as there are liars.
 */

import type { Output } from '../../protocol/machine/io.ts';
import { memorySchema } from '../../protocol/records/change-messages.ts';
import { decode, hex } from '../../protocol/records/codec.ts';
import type { Peer } from '../world/world.ts';

export class Memories {
  /** By asking member, the nonce of its present wait. */
  readonly #asked = new Map<string, string>();
  /** `nonce` → honest members that answered it. */
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
