/**
 * Statement 3 in a recovery (§5.2). A mask hides a share once. Sums for two choices of one run have no honest
 * mask in common.
 */
import type { Driver } from '../../node/driver/driver.ts';
import { dealingPublicSchema } from '../../protocol/records/change-messages.ts';
import { decode, encode, hex, sameBytes } from '../../protocol/records/codec.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import { type Of, recoveryMessageSchema } from '../../protocol/records/recovery-messages.ts';
import type { Peer } from '../world/world.ts';
import { Watcher } from './facts.ts';

export class Recoveries extends Watcher {
  /**
   * For `run/index`, the choice for which an honest helper gave its sum. `index` is an honest helper in that
   * choice.
   */
  readonly #summed = new Map<string, string>();
  /**
   * Facts that must stay the same: the run of a mask's commitments, the commitments of `run/helper`, and the
   * run of a grant's key.
   */
  readonly #masks = new Map<string, string>();
  /** Grants of honest members, as `index/sealing key`, and names of runs that honest members began. */
  readonly #granted = new Set<string>();

  check(peer: Peer, packet: Packet): void {
    if (peer.faulty !== null) return;
    const message = decode(recoveryMessageSchema, packet.body);
    if (message.type === 'recover-grant') this.#granted.add(`${message.by}/${hex(message.sealingKey)}`);
    if (message.type === 'recover-run') this.#granted.add(hex(message.run));
    if (message.type === 'recover-mask') this.#checkMask(peer, message);
    if (message.type === 'recover-sum') this.#checkSum(peer, message);
  }

  /**
   * Checks a mask (§5.2). Each run has fresh masks. One grant serves one run. The member that recovers has
   * asked for the run. Masks are sealed to keys that the helpers granted.
   */
  #checkMask(peer: Peer, message: Of<'recover-mask'>): void {
    const run = hex(message.run);
    const { parts } = decode(dealingPublicSchema, message.public);
    const commitments = hex(encode(parts.map((part) => part.commitments)));
    this.#once(commitments, run, `${peer.name} dealt one mask in two runs`);
    this.#once(`${run}/${message.by}`, commitments, `${peer.name} dealt two masks in one run`);
    const { helping } = (peer.driver as Driver).state.volatile.recovery;
    const part = Object.values(helping).find((each) => sameBytes(each.run, message.run));
    if (part === undefined) return;
    this.#once(hex(part.sealingSecret), run, `a grant of ${peer.name} served two runs`);
    if (this.facts.world.peerAt(part.recoverer).faulty === null && !this.#granted.has(run))
      this.facts.fail('3', `${peer.name} dealt a mask for a run that member ${part.recoverer} never began`);
    for (const { index, sealingKey } of part.helpers)
      if (this.facts.world.peerAt(index).faulty === null && !this.#granted.has(`${index}/${hex(sealingKey)}`))
        this.facts.fail('3', `${peer.name} dealt a mask to a key that member ${index} never granted`);
  }

  #once(name: string, what: string, fault: string): void {
    const before = this.#masks.get(name) ?? what;
    if (before !== what) this.facts.fail('3', fault);
    this.#masks.set(name, what);
  }

  /**
   * Checks that sums for two choices of one run have no honest mask in common. Otherwise the member that
   * recovers, with up to `t − 1` helpers, could combine the sums so that masks cancel and shares do not.
   */
  #checkSum(peer: Peer, message: Of<'recover-sum'>): void {
    const { helping } = (peer.driver as Driver).state.volatile.recovery;
    const part = Object.values(helping).find(({ run }) => sameBytes(run, message.run));
    const choice = hex(message.choice);
    for (const { index } of part?.choice?.helpers ?? []) {
      if (this.facts.world.peerAt(index).faulty !== null) continue;
      const name = `${hex(message.run)}/${index}`;
      const before = this.#summed.get(name) ?? choice;
      if (before !== choice)
        this.facts.fail(
          '3',
          `${peer.name} gave its sum for another choice of a run than the one with member ${index}`,
        );
      this.#summed.set(name, choice);
    }
  }
}
