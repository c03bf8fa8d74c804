/**
 * Statement 3 in a recovery (§5.2): a mask hides a share once, and sums for two choices of one run have no honest mask
 * in common.
 */
import type { Driver } from '../../node/driver/driver.ts';
import { dealingPublicSchema } from '../../protocol/records/change-messages.ts';
import { decode, encode, hex, sameBytes } from '../../protocol/records/codec.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import { type Of, recoveryMessageSchema } from '../../protocol/records/recovery-messages.ts';
import type { Peer } from '../world/world.ts';
import { Watcher } from './facts.ts';

export class Recoveries extends Watcher {
  /** `run/index` of an honest helper in a choice that an honest sum was given for → that choice. */
  readonly #summed = new Map<string, string>();
  /** Each once: a mask's commitments → its run, `run/helper` → commitments, a grant's key → the run that it served. */
  readonly #masks = new Map<string, string>();
  /** `index/sealing key` that an honest member granted, and names of runs that an honest member began. */
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
   * A mask hides a share once: a fresh one for each run, one run for each grant, asked for by the member that
   * it is for and sealed to keys that its helpers granted (§5.2).
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
   * Sums for two choices of one run have no honest mask in common: else whoever recovers, with up to t − 1
   * helpers, could combine them so that masks cancel and shares do not (statement 3).
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
