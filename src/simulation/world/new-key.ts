/** A key that the operator of a simulated group makes, orders and deals (protocol §4 "Creation"). */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { DealtKey, RandomBytes } from '../../keys/kind/shared-key.ts';
import { createKeyFromPrimes } from '../../keys/rsa/creation.ts';
import { dealtKeyOf } from '../../keys/rsa/kind.ts';
import { attendsOf } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import type { Attend } from '../../protocol/records/change-messages.ts';
import { sameBytes } from '../../protocol/records/codec.ts';
import { clusterIdOf, type Genesis } from '../../protocol/records/genesis.ts';
import { type Action, hashOfOrder, type Order } from '../../protocol/records/order.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import type { KeyUse } from '../../protocol/records/value.ts';
import { operatorDealing } from '../../sealing/operator-dealings.ts';

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
   * The dealings that are due, plan by plan, without plans for which none is: one for each member that attends a
   * plan with this order. `asked` is the member whose state is given.
   */
  due(order: Order, asked: string, state: CoreState): Packet[][] {
    const plans = Object.entries(state.durable.plans).filter(([, { orders }]) =>
      orders.some((listed) => sameBytes(hashOfOrder(listed), hashOfOrder(order))),
    );
    const due = plans.map(([plan]) =>
      attendsOf(state, plan)
        .map(({ message }) => message)
        .filter(({ by }) => !this.#served.has(`${asked}/${plan}/${by}`))
        .map((attend) => {
          this.#served.add(`${asked}/${plan}/${attend.by}`);
          return this.#dealing(attend);
        }),
    );
    return due.filter((packets) => packets.length > 0);
  }

  #dealing(attend: Attend): Packet {
    const { dealt, dealingSeed, genesis, random } = this.#options;
    return operatorDealing(attend, {
      ...{ cluster: this.#cluster, action: this.action, dealt, dealingSeed, cipher: 'aes' },
      ...{ threshold: this.action.commitments.length + 1, membersMax: genesis.membersMax },
      entropy: random(32),
    });
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
