/**
 * The dealer of a new key (protocol §4 "Creation"). It holds the key's polynomial from its making until the group has
 * decided, and trusts no daemon: every Attend is checked against the roster of the verified chain, the plan is derived
 * here, and numbers are sealed only to one-time keys of members that attend it and stay.
 */
import { randomBytes } from 'node:crypto';
import { seal } from '../cipher/envelope.ts';
import { type CipherName, localCipher } from '../cipher/local-cipher.ts';
import { mixKeystream } from '../cipher/mixing.ts';
import { createKeyFromPrimes, creationShare, type KeyCreation, type Primes } from '../crypto/key-creation.ts';
import type { SharingParameters } from '../crypto/rsa-sharing.ts';
import { envelopeContext, packNumber } from '../node/sealing.ts';
import type { CreationView } from '../node/view.ts';
import { decode, encode, hex, numberBytes, sameBytes } from '../protocol/codec.ts';
import type { Genesis } from '../protocol/genesis.ts';
import {
  type Attend,
  attendSchema,
  type Dealing,
  type DealingPublic,
  digestOfDealing,
} from '../protocol/messages.ts';
import { type Action, draftOf, hashOfOrder, keyIdOf, type Order, planOf } from '../protocol/order.ts';
import { type Packet, signPacket, verifyPacket } from '../protocol/packet.ts';
import { memberAt, quorumOf } from '../protocol/roster.ts';
import type { KeyUse, Value } from '../protocol/value.ts';

type CreateKey = Extract<Action, { type: 'create-key' }>;

/** System randomness XOR the local cipher's keystream under a fresh key (§3 "The local cipher"). */
const mixedRandom =
  (cipher: CipherName) =>
  (length: number): Uint8Array =>
    mixKeystream(
      cipher,
      new Uint8Array(randomBytes(localCipher(cipher).keyBytes)),
      new Uint8Array(randomBytes(length)),
    );

export class KeyDealer {
  readonly action: CreateKey;
  private readonly genesis: Genesis;
  private readonly cluster: Uint8Array;
  private readonly cipher: CipherName;
  private readonly parameters: SharingParameters;
  /** Secret; null once forgotten. */
  private creation: KeyCreation | null;
  /** One-time keys that were served already, as `plan/index/key`. */
  private readonly served = new Set<string>();

  /** Shares the key of `primes` by the threshold of `head`. Throws `KeyError` for primes that give no key. */
  constructor(options: {
    genesis: Genesis;
    cluster: Uint8Array;
    cipher: CipherName;
    head: Value;
    name: string;
    use: KeyUse;
    modulusBits: number;
    primes: Primes;
    exponent: bigint;
  }) {
    const { genesis, cluster, cipher, head, name, use, modulusBits, primes, exponent } = options;
    this.genesis = genesis;
    this.cluster = cluster;
    this.cipher = cipher;
    this.parameters = { membersMax: genesis.membersMax, threshold: head.threshold, modulusBits };
    const creation = createKeyFromPrimes({
      ...primes,
      e: exponent,
      parameters: this.parameters,
      randomBytes: mixedRandom(cipher),
    });
    this.creation = creation;
    this.action = {
      type: 'create-key',
      name,
      use,
      modulus: numberBytes(creation.public.modulus),
      exponent: numberBytes(creation.public.exponent),
      base: numberBytes(creation.public.base),
      constant: numberBytes(creation.public.constant),
      commitments: creation.commitments.map(numberBytes),
    };
  }

  /**
   * The dealing packets that are due: for every member that attends and was not served under this plan and key yet.
   * None before a quorum attends. `head` is verified, `view` is not. Throws `ProtocolError` for a malformed view.
   */
  dealings(
    head: Value,
    view: CreationView,
    order: Order,
    operatorSeed: Uint8Array,
  ): { packets: Packet[]; attending: number; quorum: number } {
    const quorum = quorumOf(head.roster.length, head.threshold, this.genesis.faultModel);
    if (!view.orders.some((listed) => sameBytes(hashOfOrder(listed), hashOfOrder(order))))
      return { packets: [], attending: 0, quorum };
    const draft = draftOf(this.genesis, this.cluster, head, view.orders);
    const plan = planOf(head, draft, view.orders);
    const attends = this.checkedAttends(head, plan, view.attends);
    if (attends.length < quorum) return { packets: [], attending: attends.length, quorum };
    const packets = attends
      .filter(({ by }) => memberAt(draft.roster, by)?.peer === memberAt(head.roster, by)?.peer)
      .filter(({ by, sealingKey }) => this.isNew(`${hex(plan)}/${by}/${hex(sealingKey)}`))
      .map((attend) => this.packetFor(attend, plan, operatorSeed));
    return { packets, attending: attends.length, quorum };
  }

  /** Drops the key's secrets. Numbers of the runtime cannot be overwritten, only let go (§8). */
  forget(): void {
    this.creation = null;
  }

  private isNew(served: string): boolean {
    if (this.served.has(served)) return false;
    this.served.add(served);
    return true;
  }

  /** Attends for this plan that their members signed; who attends it twice in different words is left out. */
  private checkedAttends(head: Value, plan: Uint8Array, packets: readonly Packet[]): Attend[] {
    const byMember = new Map<number, Attend | 'contradicting'>();
    for (const packet of packets) {
      const attend = decode(attendSchema, packet.body);
      const member = memberAt(head.roster, attend.by);
      if (member === undefined || head.suspended.some(({ index }) => index === attend.by)) continue;
      if (attend.epoch !== head.epoch + 1 || !sameBytes(attend.plan, plan)) continue;
      if (!verifyPacket(this.cluster, member.epochKey, packet)) continue;
      const known = byMember.get(attend.by);
      const same =
        known === undefined || (known !== 'contradicting' && sameBytes(encode(known), packet.body));
      byMember.set(attend.by, same ? attend : 'contradicting');
    }
    return [...byMember.values()].filter((attend) => attend !== 'contradicting');
  }

  private packetFor(attend: Attend, plan: Uint8Array, operatorSeed: Uint8Array): Packet {
    if (this.creation === null) throw new Error('the key’s secrets are forgotten already');
    const { epoch, by: receiver, sealingKey } = attend;
    const key = keyIdOf(this.cluster, this.action);
    const half: DealingPublic = {
      epoch,
      plan,
      dealer: 0,
      parts: [{ key, commitments: this.action.commitments }],
    };
    const publicBytes = encode(half);
    const digest = digestOfDealing(publicBytes);
    const plaintext = packNumber(creationShare(this.creation, receiver), this.parameters);
    const entropy = new Uint8Array(randomBytes(32));
    const context = envelopeContext({ cluster: this.cluster, epoch, plan, key, digest, sender: 0, receiver });
    const envelope = seal({ cipher: this.cipher, receiverKey: sealingKey, entropy, context, plaintext });
    plaintext.fill(0);
    entropy.fill(0);
    const dealing: Dealing = { type: 'dealing', by: 0, receiver, public: publicBytes, envelopes: [envelope] };
    return signPacket(this.cluster, operatorSeed, encode(dealing));
  }
}
