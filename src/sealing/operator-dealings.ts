/** What the dealer of a new key hands out (protocol §4 "Creation"): one number for each member that attends. */
import type { CipherName } from '../cipher/local-cipher.ts';
import type { DealtKey } from '../keys/kind/shared-key.ts';
import { kindNamed } from '../keys/kinds.ts';
import {
  type Attend,
  type Dealing,
  type DealingPublic,
  digestOfDealing,
} from '../protocol/records/change-messages.ts';
import { encode } from '../protocol/records/codec.ts';
import { keyIdOf } from '../protocol/records/draft-actions.ts';
import type { CreateKey } from '../protocol/records/order.ts';
import { type Packet, signPacket } from '../protocol/records/packet.ts';
import { operatorDealer } from '../protocol/records/value.ts';
import { sealNumber } from './numbers.ts';

interface DealtByOperator {
  /** The id of the cluster, 32 bytes. */
  cluster: Uint8Array;
  /** The order's action, which names the dealing key. */
  action: CreateKey;
  threshold: number;
  membersMax: number;
  /** Secret. */
  dealt: DealtKey;
  /** Secret, 32 bytes: the seed of the action's dealing key. */
  dealingSeed: Uint8Array;
  cipher: CipherName;
  /** Secret, 32 bytes, fresh for each dealing. It is overwritten with zeros. */
  entropy: Uint8Array;
}

/**
 * The dealing for the member that signed this Attend, in the Attend's change and plan: its first share, sealed to
 * its one-time key and signed with the dealing key. The caller has checked the Attend.
 */
export function operatorDealing(
  { epoch, plan, by: receiver, sealingKey }: Attend,
  { cluster, action, threshold, membersMax, dealt, dealingSeed, cipher, entropy }: DealtByOperator,
): Packet {
  const { dealingKey, commitments, kind, public: publicKey } = action;
  const key = keyIdOf(cluster, action);
  const half: DealingPublic = {
    ...{ v: 1, epoch, plan, dealer: operatorDealer, dealingKey },
    parts: [{ key, commitments }],
  };
  const publicBytes = encode(half);
  const digest = digestOfDealing(publicBytes);
  const number = dealt.firstShare(receiver);
  const envelope = sealNumber({
    coding: kindNamed(kind).shared({ public: publicKey, threshold, membersMax }),
    tie: { cluster, epoch, plan, key, digest, sender: operatorDealer, receiver },
    cipher,
    receiverKey: sealingKey,
    entropy,
    number,
  });
  number.fill(0);
  entropy.fill(0);
  const dealing: Dealing = {
    v: 1,
    type: 'dealing',
    by: operatorDealer,
    receiver,
    public: publicBytes,
    envelopes: [envelope],
  };
  return signPacket(cluster, dealingSeed, encode(dealing));
}
