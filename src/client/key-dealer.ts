/**
 * The dealer of a new key (protocol §4 "Creation"). It holds the key from its making until the group has
 * decided, deals one sharing of it in one change only, and trusts no daemon: every Attend is checked against
 * the roster of the verified chain, the plan is derived here, and numbers are sealed only to one-time keys of
 * members that attend it and stay.
 */

import { randomBytes } from 'node:crypto';
import type { Answer } from '../api/routes.ts';
import { type CipherName, localCipher } from '../cipher/local-cipher.ts';
import { mixKeystream } from '../cipher/mixing.ts';
import { isSealingKey } from '../crypto/key-agreement.ts';
import { ed25519FromSeed } from '../crypto/signature.ts';
import type { DealtKey, SecretKey } from '../keys/kind/shared-key.ts';
import { type Attend, attendSchema } from '../protocol/records/change-messages.ts';
import { decode, encode, hex, sameBytes } from '../protocol/records/codec.ts';
import { draftOf, planOf } from '../protocol/records/draft.ts';
import type { Genesis } from '../protocol/records/genesis.ts';
import { type CreateKey, hashOfOrder, type Order } from '../protocol/records/order.ts';
import { type Packet, verifyPacket } from '../protocol/records/packet.ts';
import { memberAt, quorumOf } from '../protocol/records/roster.ts';
import type { KeyUse, Value } from '../protocol/records/value.ts';
import { operatorDealing } from '../sealing/operator-dealings.ts';

/** System randomness XOR the local cipher's keystream under a fresh key (§3 "The local cipher"). */
const mixedRandom =
  (cipher: CipherName) =>
  (length: number): Uint8Array =>
    mixKeystream(
      cipher,
      new Uint8Array(randomBytes(localCipher(cipher).keyBytes)),
      new Uint8Array(randomBytes(length)),
    );

interface NewKey {
  name: string;
  use: KeyUse;
  secret: SecretKey;
}

/** One sharing of the key, for one change. */
interface Sharing {
  action: CreateKey;
  threshold: number;
  /** Secret. */
  dealt: DealtKey;
  /** Secret: signs this sharing's packets and nothing else; the order names its public half. */
  dealingSeed: Uint8Array;
  /** The change that its numbers were dealt in; null while none was. */
  epoch: number | null;
  /** One-time keys that were served already, as `plan/index/key`. */
  served: Set<string>;
}

export class KeyDealer {
  readonly #genesis: Genesis;
  readonly #cluster: Uint8Array;
  readonly #cipher: CipherName;
  /** Secret; null once forgotten. */
  #key: NewKey | null;
  #sharing: Sharing | null;

  /** Shares the key by the threshold of `head`. Throws `KeyError` for primes that give no key. */
  constructor(options: {
    genesis: Genesis;
    cluster: Uint8Array;
    cipher: CipherName;
    head: Value;
    key: NewKey;
  }) {
    this.#genesis = options.genesis;
    this.#cluster = options.cluster;
    this.#cipher = options.cipher;
    this.#key = options.key;
    this.#sharing = this.#share(options.head);
  }

  get action(): CreateKey {
    return this.#known().action;
  }

  /**
   * Shares the key anew, under another dealing key, when its numbers were dealt in a change that was decided
   * without it: an intruder who read some of them then, and others in the next change, would hold more than t
   * of one polynomial. True: there is a new action to order.
   */
  renew(head: Value): boolean {
    const { epoch } = this.#known();
    if (epoch === null || head.epoch < epoch) return false;
    this.#known().dealingSeed.fill(0);
    this.#sharing = this.#share(head);
    return true;
  }

  #share(head: Value): Sharing {
    if (this.#key === null) throw forgotten();
    const { name, use, secret } = this.#key;
    const { threshold } = head;
    const random = mixedRandom(this.#cipher);
    const dealt = secret.share({ threshold, membersMax: this.#genesis.membersMax, randomBytes: random });
    const dealingSeed = random(32);
    const action: CreateKey = {
      type: 'create-key',
      name,
      kind: dealt.kind,
      use,
      public: dealt.public,
      commitments: dealt.commitments,
      dealingKey: ed25519FromSeed(dealingSeed).publicKey,
    };
    return { action, threshold, dealt, dealingSeed, epoch: null, served: new Set() };
  }

  #known(): Sharing {
    if (this.#sharing === null) throw forgotten();
    return this.#sharing;
  }

  /**
   * The dealing packets that are due: for every member that attends and was not served under this plan and
   * key yet. None before a quorum attends. `head` is verified, `view` is not. Throws `ProtocolError` for a
   * malformed view.
   */
  dealings(
    head: Value,
    view: Answer<'creation'>,
    order: Order,
  ): { packets: Packet[]; attending: number; quorum: number } {
    const quorum = quorumOf(head.roster.length, head.threshold, this.#genesis.faultModel);
    if (!view.orders.some((listed) => sameBytes(hashOfOrder(listed), hashOfOrder(order))))
      return { packets: [], attending: 0, quorum };
    const draft = draftOf(this.#genesis, this.#cluster, head, view.orders);
    const plan = planOf(head, draft, view.orders);
    const attends = this.#checkedAttends(head, plan, view.attends);
    if (attends.length < quorum) return { packets: [], attending: attends.length, quorum };
    const sharing = this.#known();
    if (sharing.epoch !== null && sharing.epoch !== head.epoch + 1)
      throw new Error('these numbers were dealt in another change: renew first');
    const packets = attends
      .filter(({ by }) => memberAt(draft.roster, by)?.peer === memberAt(head.roster, by)?.peer)
      .filter(({ sealingKey }) => isSealingKey(sealingKey)) // who attends with none gets no number, and stops nobody
      .filter(({ by, sealingKey }) => isNew(sharing.served, `${hex(plan)}/${by}/${hex(sealingKey)}`))
      .map((attend) => this.#packetFor(sharing, attend));
    if (packets.length > 0) sharing.epoch = head.epoch + 1;
    return { packets, attending: attends.length, quorum };
  }

  /** Drops the key's secrets. Numbers of the runtime cannot be overwritten, only let go (§8). */
  forget(): void {
    this.#sharing?.dealingSeed.fill(0);
    this.#key = null;
    this.#sharing = null;
  }

  /**
   * Attends for this plan that their members signed; whoever attends it twice in different words is left out.
   */
  #checkedAttends(head: Value, plan: Uint8Array, packets: readonly Packet[]): Attend[] {
    const byMember = new Map<number, Attend | 'contradicting'>();
    for (const packet of packets) {
      const attend = decode(attendSchema, packet.body);
      const member = memberAt(head.roster, attend.by);
      if (member === undefined || head.suspended.some(({ index }) => index === attend.by)) continue;
      if (attend.epoch !== head.epoch + 1 || !sameBytes(attend.plan, plan)) continue;
      if (!verifyPacket(this.#cluster, member.epochKey, packet)) continue;
      const known = byMember.get(attend.by);
      const same =
        known === undefined || (known !== 'contradicting' && sameBytes(encode(known), packet.body));
      byMember.set(attend.by, same ? attend : 'contradicting');
    }
    return [...byMember.values()].filter((attend) => attend !== 'contradicting');
  }

  #packetFor(sharing: Sharing, attend: Attend): Packet {
    const { action, dealt, threshold, dealingSeed } = sharing;
    return operatorDealing(attend, {
      ...{ cluster: this.#cluster, action, dealt, threshold, dealingSeed, cipher: this.#cipher },
      membersMax: this.#genesis.membersMax,
      entropy: new Uint8Array(randomBytes(32)),
    });
  }
}

const forgotten = (): Error => new Error('the key’s secrets are forgotten already');

function isNew(served: Set<string>, one: string): boolean {
  if (served.has(one)) return false;
  served.add(one);
  return true;
}
