/**
 * The rules of §4 about a peer's own messages (statements 1 and 4). Each message is durable before it leaves.
 * No later message contradicts it.
 */

import { archiveKey, recordName } from '../../protocol/machine/durable-records.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import { type Said, slotOf } from '../../protocol/machine/slots.ts';
import type { Carried } from '../../protocol/records/change-messages.ts';
import { encode, hex } from '../../protocol/records/codec.ts';
import { decodeStored, encodeStored } from '../../protocol/records/stored.ts';
import type { Peer } from '../world/world.ts';
import { Watcher } from './facts.ts';

/** The record of a message that a peer may send only once. Null for a message that it may send again. */
const recordOf = (message: Said): string | null => (message.type === 'have' ? null : slotName(message));

function slotName(message: Said): string {
  const { section, key } = slotOf(message);
  return recordName(section, key);
}

/** A forced eviction has its own agreement (§5). Messages of the ordinary instance bind nobody in it. */
export const instanceOf = (message: Said): string =>
  'instance' in message && message.instance !== null ? hex(message.instance) : 'ordinary';

export class Words extends Watcher {
  /**
   * The messages that peers published, by peer, epoch, instance and record. A second, different one is a
   * contradiction.
   */
  readonly #said = new Map<string, { peer: string; record: string; body: string }>();
  readonly #rememberedByOthers = new Set<string>();

  checkOnce(peer: Peer, message: Said): void {
    const record = recordOf(message);
    if (record === null) return;
    const name = `${peer.name}/${message.epoch}/${instanceOf(message)}/${record}`;
    const body = hex(encode(message));
    const before = this.#said.get(name);
    const excused = peer.faulty === 'went-back' && !this.#rememberedByOthers.has(name);
    if (before !== undefined && before.body !== body && !excused)
      this.facts.fail('1', `${peer.name} contradicts its own ${message.type} of epoch ${message.epoch}`);
    this.#said.set(name, { peer: peer.name, record, body });
  }

  /**
   * The store of a peer goes back in time. Then only some of its messages bind it: those that more than
   * `faults` others hold. Any quorum that it asks shows it these messages (§4, restart rule).
   */
  onWentBack(peer: Peer): void {
    const value = this.facts.newest;
    if (value === undefined) return;
    const faults = value.roster.length - this.facts.quorumOf(value);
    this.#rememberedByOthers.clear();
    for (const [name, said] of this.#said) {
      if (said.peer !== peer.name) continue;
      const holders = this.facts.world.peers.filter(({ faulty, home }) => {
        const bytes = faulty === null ? home.records.get(said.record) : undefined;
        return bytes !== undefined && hex((decodeStored(bytes) as Carried).packet.body) === said.body;
      });
      if (holders.length > faults) this.#rememberedByOthers.add(name);
    }
  }

  checkDurable(peer: Peer, message: Said): void {
    if (!this.#isDurable(peer, message))
      this.facts.fail(
        '4',
        `${peer.name} sent its ${message.type} of epoch ${message.epoch} before it was durable`,
      );
  }

  #isDurable(peer: Peer, message: Said): boolean {
    const { records } = peer.home;
    // A step may decide the epoch of its own message. Then the message is durable as the decision.
    const decided = message.type !== 'ready' && records.has(archiveKey('links', message.epoch));
    if (decided) return true;
    switch (message.type) {
      case 'attend': {
        const own = decodeStored(records.get('own') ?? encodeStored({ retired: 0 })) as Durable['own'];
        if (own.retired < message.epoch - 1)
          this.facts.fail(
            '4',
            `${peer.name} attends epoch ${message.epoch} before it retired ${message.epoch - 2}`,
          );
        return (
          records.has(recordName('attended', hex(message.plan))) &&
          records.has(recordName('epochSecrets', hex(message.epochKey))) &&
          records.has(slotName(message))
        );
      }
      case 'have':
        if (!records.has(recordName('shares', message.epoch - 1)))
          this.facts.fail('4', `${peer.name} sent a Have without a share of epoch ${message.epoch - 1}`);
        return message.digests.every((digest) => records.has(recordName('subShares', hex(digest))));
      case 'proposal':
      case 'prevote':
      case 'precommit':
        return records.has(slotName(message));
      case 'ready':
        return records.has(recordName('shares', message.epoch));
      default:
        return true;
    }
  }
}
