/** A key that the operator of a simulated group makes, orders and deals (protocol §4 "Creation"). */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { DealtKey, RandomBytes } from '../../keys/kind/shared-key.ts';
import { kindNamed } from '../../keys/kinds.ts';
import { createKeyFromPrimes } from '../../keys/rsa/creation.ts';
import { dealtKeyOf } from '../../keys/rsa/kind.ts';
import { attendsOf, headOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import {
  type Attend,
  type Dealing,
  type DealingPublic,
  digestOfDealing,
} from '../../protocol/records/change-messages.ts';
import { encode, fromHex, sameBytes } from '../../protocol/records/codec.ts';
import { keyIdOf } from '../../protocol/records/draft-actions.ts';
import { clusterIdOf, type Genesis } from '../../protocol/records/genesis.ts';
import { type Action, hashOfOrder, type Order } from '../../protocol/records/order.ts';
import { type Packet, signPacket } from '../../protocol/records/packet.ts';
import { type KeyUse, operatorDealer } from '../../protocol/records/value.ts';
import { sealNumber } from '../../sealing/numbers.ts';

/** An RSA key of 512 bits, shared by this threshold. */
export const smallKey = (
  { membersMax }: Genesis,
  threshold: number,
  primes: { p: bigint; q: bigint },
  randomBytes: RandomBytes,
): DealtKey =>
  dealtKeyOf(
    createKeyFromPrimes({
      ...primes,
      e: 65537n,
      parameters: { membersMax, threshold, modulusBits: 512 },
      randomBytes,
    }),
  );

/** One key on its way to the group. */
export class NewKey {
  readonly action: Extract<Action, { type: 'create-key' }>;
  readonly #options: NewKeyOptions;
  readonly #cluster: Uint8Array;
  /** The dealings that were made, as `asked member/plan/receiver`. */
  readonly #served = new Set<string>();

  constructor(options: NewKeyOptions) {
    this.#options = options;
    this.#cluster = clusterIdOf(options.genesis);
    const { kind, public: publicBytes, commitments } = options.dealt;
    this.action = {
      type: 'create-key',
      name: options.name,
      kind,
      use: options.use,
      public: publicBytes,
      commitments,
      dealingKey: ed25519FromSeed(options.dealingSeed).publicKey,
    };
  }

  /**
   * The dealings that are due, plan by plan: one for each member that attends a plan with this order. `asked`
   * is the member whose state is given.
   */
  due(order: Order, asked: string, state: CoreState): Packet[][] {
    const plans = Object.entries(state.durable.plans).filter(([, { orders }]) =>
      orders.some((listed) => sameBytes(hashOfOrder(listed), hashOfOrder(order))),
    );
    return plans.map(([plan]) =>
      attendsOf(state, plan)
        .map(({ message }) => message)
        .filter(({ by }) => !this.#served.has(`${asked}/${plan}/${by}`))
        .map((attend) => {
          this.#served.add(`${asked}/${plan}/${attend.by}`);
          return this.#dealing(attend, headOf(state).epoch + 1, fromHex(plan));
        }),
    );
  }

  #dealing({ by: receiver, sealingKey }: Attend, epoch: number, plan: Uint8Array): Packet {
    const { dealt, dealingSeed, genesis, random } = this.#options;
    const { dealingKey, commitments, kind, public: publicBytes } = this.action;
    const [cluster, key] = [this.#cluster, keyIdOf(this.#cluster, this.action)];
    const half = encode({
      ...{ v: 1, epoch, plan, dealer: operatorDealer, dealingKey },
      parts: [{ key, commitments }],
    } satisfies DealingPublic);
    const envelope = sealNumber({
      coding: kindNamed(kind).shared({
        public: publicBytes,
        threshold: commitments.length + 1,
        membersMax: genesis.membersMax,
      }),
      tie: { cluster, epoch, plan, digest: digestOfDealing(half), sender: operatorDealer, receiver, key },
      cipher: 'aes',
      receiverKey: sealingKey,
      entropy: random(32),
      number: dealt.firstShare(receiver),
    });
    const dealing: Dealing = {
      v: 1,
      type: 'dealing',
      by: operatorDealer,
      receiver,
      public: half,
      envelopes: [envelope],
    };
    return signPacket(this.#cluster, dealingSeed, encode(dealing));
  }
}

interface NewKeyOptions {
  name: string;
  use: KeyUse;
  dealt: DealtKey;
  /** The dealer signs its dealings with this seed. */
  dealingSeed: Uint8Array;
  genesis: Genesis;
  random: RandomBytes;
}
