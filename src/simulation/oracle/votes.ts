/**
 * Statement 1 as the proof of agreement needs it. A member keeps its lock until a later quorum. A value that
 * is proposed again had a quorum of prevotes. Buchman, Kwon, Milosevic 2018.
 */

import type { Driver } from '../../node/driver/driver.ts';
import { recordName } from '../../protocol/machine/durable-records.ts';
import { voteKey } from '../../protocol/machine/record-keys.ts';
import { type Carried, prevoteSchema, type Vote } from '../../protocol/records/change-messages.ts';
import { decode, hex } from '../../protocol/records/codec.ts';
import { decodeStored } from '../../protocol/records/stored.ts';
import type { Peer } from '../world/world.ts';
import { Watcher } from './facts.ts';
import { instanceOf } from './words.ts';

export class Votes extends Watcher {
  readonly #prevoters = new Map<string, Set<number>>();
  readonly #precommits = new Map<string, Array<{ round: number; value: string }>>();

  count({ epoch, round, value, by }: Vote): void {
    const name = `${epoch}/${round}/${value === null ? 'nil' : hex(value)}`;
    const voters = this.#prevoters.get(name) ?? new Set<number>();
    this.#prevoters.set(name, voters.add(by));
  }

  /**
   * A member that precommitted a value prevotes another value only after a later quorum for that other value.
   */
  checkLock(peer: Peer, vote: Vote): void {
    if (vote.value === null) return;
    const name = `${peer.name}/${vote.epoch}/${instanceOf(vote)}`;
    const value = hex(vote.value);
    const earlier = this.#precommits.get(name) ?? [];
    if (vote.type === 'precommit') {
      this.#precommits.set(name, [...earlier, { round: vote.round, value }]);
      return;
    }
    const lock = earlier.filter(({ round }) => round < vote.round).at(-1);
    if (lock === undefined || lock.value === value) return;
    const parent = this.facts.valueAt(vote.epoch - 1);
    if (parent === undefined) return;
    for (let round = lock.round; round < vote.round; round += 1)
      if (this.#prevotersOf(vote.epoch, round, value).size >= this.facts.quorumOf(parent)) return;
    this.facts.fail(
      '1',
      `${peer.name} prevoted against its lock in epoch ${vote.epoch}, round ${vote.round}`,
    );
  }

  /**
   * Line 28 of the paper: a member prevotes a value that is proposed again only if a quorum prevoted it in
   * the round that the proposal names.
   */
  checkSupport(peer: Peer, { epoch, round, value, instance }: Vote): void {
    const proposal = (peer.driver as Driver).state.durable.proposals[round]?.message;
    const parent = this.facts.valueAt(epoch - 1);
    if (value === null || instance !== null || parent === undefined) return;
    if (proposal?.epoch !== epoch || proposal.validRound === -1) return;
    const voters = this.#prevotersOf(epoch, proposal.validRound, hex(value));
    if (voters.size < this.facts.quorumOf(parent))
      this.facts.fail('1', `${peer.name} prevoted again for what ${voters.size} members prevoted before`);
  }

  /**
   * The members that prevoted a value in a round. Faulty members always count. A vote that was written before
   * a crash shows only in later re-sends, so the disks are searched too.
   */
  #prevotersOf(epoch: number, round: number, value: string): Set<number> {
    const voters = new Set(this.#prevoters.get(`${epoch}/${round}/${value}`));
    for (const { index, faulty, home } of this.facts.world.peers) {
      const bytes = home.records.get(recordName('votes', voteKey({ type: 'prevote', round, by: index })));
      if (faulty !== null) voters.add(index);
      if (faulty !== null || bytes === undefined) continue;
      const vote = decode(prevoteSchema, (decodeStored(bytes) as Carried).packet.body);
      if (vote.epoch === epoch && vote.value !== null && hex(vote.value) === value) voters.add(index);
    }
    return voters;
  }
}
