/** Checks statements 3 and 4 at the disks: when a share may be erased, and what must be gone after Retire. */

import type { StoreTransaction } from '../../node/store/store.ts';
import { archiveKey, readRecordName } from '../../protocol/machine/durable-records.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import { sharedKeyOf } from '../../protocol/machine/shared-keys.ts';
import { type RetireProof, readySchema } from '../../protocol/records/change-messages.ts';
import { decode, fromHex, hex } from '../../protocol/records/codec.ts';
import type { Link } from '../../protocol/records/link.ts';
import { verifyPacket } from '../../protocol/records/packet.ts';
import { decodeStored } from '../../protocol/records/stored.ts';
import type { KeyRecord } from '../../protocol/records/value.ts';
import type { Peer } from '../world/world.ts';
import { type Facts, Watcher } from './facts.ts';
import { checkEnoughHolders } from './holders.ts';
import type { KeyOracle } from './key-oracles.ts';

/** A reader of these records can compute shares of a change (§4.5). They are erased with the older shares. */
const secretsOfAChange = new Set(['subShares', 'dealt', 'attended', 'outbox']);

export class Erasure extends Watcher {
  /** The epoch that each peer's disk had retired last. */
  readonly #retired = new Map<string, number>();
  readonly #checkedProofs = new Set<string>();
  readonly #oracleOf: (key: KeyRecord) => KeyOracle;

  constructor(facts: Facts, oracleOf: (key: KeyRecord) => KeyOracle) {
    super(facts);
    this.#oracleOf = oracleOf;
  }

  /** Called after every durable write of an honest peer. */
  check(peer: Peer, { puts, deletes }: StoreTransaction): void {
    const erased = deletes.filter((key) => key.startsWith('shares/'));
    for (const key of erased) this.#checkErasure(peer, Number(key.slice(7)));
    const own = puts.find(([key]) => key === 'own');
    if (own !== undefined) {
      const fresh = new Set(puts.map(([key]) => key));
      this.#checkNothingOldIsLeft(peer, decodeStored(own[1]) as Durable['own'], fresh);
    }
    if (deletes.some((key) => /^(shares|subShares)\//.test(key)))
      checkEnoughHolders(this.facts, `when ${peer.name} erased something`);
  }

  /**
   * Nobody sees a write that a crash cut off. So a Retire of that write must not count for the next write.
   */
  onCrash(peer: Peer): void {
    this.#retired.delete(peer.name);
  }

  #checkErasure(peer: Peer, epoch: number): void {
    const { records } = peer.home;
    for (let later = this.facts.latest; later > epoch; later -= 1) {
      const bytes = records.get(archiveKey('retires', later));
      if (bytes !== undefined) return this.#checkRetireProof(peer, decodeStored(bytes) as RetireProof);
    }
    // Perhaps only this peer knows the value that evicts it.
    const own = records.get(archiveKey('links', this.facts.latest + 1));
    const newest = own ? (decodeStored(own) as Link).value : this.facts.newest;
    if (newest?.roster.some((member) => member.peer === peer.peer))
      this.facts.fail('4', `${peer.name} erased its share of epoch ${epoch} without a retire proof`);
  }

  #checkRetireProof(peer: Peer, proof: RetireProof): void {
    const known = this.facts.values.get(proof.epoch);
    if (known === undefined)
      return this.facts.fail('4', `${peer.name} retired an epoch that was not decided`);
    const name = [proof.epoch, ...proof.readys.map(({ signature }) => signature), ...proof.proofs]
      .map((part) => (typeof part === 'number' ? part : hex(part)))
      .join();
    if (this.#checkedProofs.has(name)) return;
    this.#checkedProofs.add(name);
    const { value } = known.link;
    const ready = new Set<number>();
    for (const packet of proof.readys) {
      const { by, epoch, value: named } = decode(readySchema, packet.body);
      const member = value.roster.find(({ index }) => index === by);
      const right = epoch === value.epoch && hex(named) === known.hash;
      if (right && member && verifyPacket(this.facts.clusterId, member.epochKey, packet)) ready.add(by);
    }
    if (ready.size < this.facts.quorumOf(value) || proof.proofs.length !== value.keys.length)
      this.facts.fail('4', `${peer.name} erased on a retire proof of ${ready.size} Readys`);
    const { membersMax } = this.facts.world.genesis;
    value.keys.forEach((key, at) => {
      const bytes = proof.proofs[at] ?? new Uint8Array();
      const shown =
        this.#oracleOf(key).isTrialProof(key, fromHex(known.hash), bytes) ??
        sharedKeyOf({ key, threshold: value.threshold, membersMax }).checkTrialProof({
          statement: {
            ...{ cluster: this.facts.clusterId, epoch: value.epoch },
            ...{ value: fromHex(known.hash), key: key.id },
          },
          commitments: known.link.commitments[at] ?? [],
          members: proof.readys.map(({ body }) => decode(readySchema, body).by),
          proof: bytes,
        });
      if (!shown) this.facts.fail('4', `${peer.name} erased on a retire proof whose shares never signed`);
    });
  }

  /**
   * After Retire only these secrets are left: the newest share, its epoch key, and secrets that the same step
   * made for the next change.
   */
  #checkNothingOldIsLeft(peer: Peer, own: Durable['own'], fresh: ReadonlySet<string>): void {
    const before = this.#retired.get(peer.name);
    this.#retired.set(peer.name, own.retired);
    if (own.retired !== own.head) return;
    const retiredNow = before !== undefined && before < own.retired;
    const roster = this.facts.valueAt(own.head)?.roster ?? [];
    const self = roster.find((member) => member.peer === peer.peer);
    for (const key of peer.home.records.keys()) {
      const { section, key: rest } = readRecordName(key);
      const old =
        section === 'shares'
          ? Number(rest) < own.retired
          : retiredNow &&
            !fresh.has(key) &&
            (secretsOfAChange.has(section) ||
              (section === 'epochSecrets' && (self === undefined || rest !== hex(self.epochKey))));
      if (old) this.facts.fail('3', `${peer.name} retired epoch ${own.retired} and still holds ${key}`);
    }
  }
}
