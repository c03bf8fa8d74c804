/** The operator of a simulated group: gives orders through any member, and deals the keys that it orders (protocol §4 "Creation"). */
import { seal } from '../../src/cipher/envelope.ts';
import { createKeyFromPrimes, creationShare, type KeyCreation } from '../../src/crypto/key-creation.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { envelopeContext, packNumber } from '../../src/node/sealing.ts';
import { encode, fromHex, numberBytes, sameBytes } from '../../src/protocol/codec.ts';
import { clusterIdOf } from '../../src/protocol/genesis.ts';
import { digestOfDealing } from '../../src/protocol/messages.ts';
import { type Action, hashOfOrder, keyIdOf, type Order, signOrder } from '../../src/protocol/order.ts';
import { type Packet, signPacket } from '../../src/protocol/packet.ts';
import { attendsOf, headOf } from '../../src/protocol/queries.ts';
import { hashOfValue } from '../../src/protocol/value.ts';
import { samplePrimes } from '../crypto/sample.ts';
import { seededBytes } from '../support/virtual-time.ts';
import type { Peer, World } from './world.ts';

interface Creating {
  order: Order;
  creation: KeyCreation;
  key: Uint8Array;
  commitments: Uint8Array[];
  served: Set<string>;
}

export class Operator {
  readonly #world: World;
  readonly #random: (length: number) => Uint8Array;
  readonly #creating: Creating[] = [];
  #names = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = seededBytes(`${world.options.seed}/operator`);
  }

  /** Orders something at the member `by`; false when it is down or has an order in hand already. */
  order(by: Peer): boolean {
    const state = by.driver?.state;
    if (state === undefined) return false;
    const head = headOf(state);
    if (state.durable.orders[head.lastOrder + 1] !== undefined) return false;
    this.#names += 1;
    const name = `n${this.#names}`;
    const creation = this.#names % 2 === 0 && head.keys.length < 2 ? this.#create(head.threshold) : null;
    const action = creation === null ? this.#newClient(name) : keyAction(name, creation);
    const cluster = clusterIdOf(this.#world.genesis);
    const order = signOrder(this.#world.genesis, this.#world.operatorSeed, {
      cluster,
      ancestor: hashOfValue(head),
      ancestorEpoch: head.epoch,
      sequence: head.lastOrder + 1,
      action,
    });
    if (creation !== null && action.type === 'create-key')
      this.#creating.push({
        order,
        creation,
        key: keyIdOf(cluster, action),
        commitments: action.commitments,
        served: new Set(),
      });
    by.driver?.submitOrder(order).catch(() => {}); // A peer that went ahead meanwhile refuses it.
    return true;
  }

  /** Deals every ordered key to whoever attends a plan that creates it, as seen by the member `by`. */
  serve(by: Peer): void {
    const state = by.driver?.state;
    if (state === undefined) return;
    for (const making of this.#creating)
      for (const [plan, { orders }] of Object.entries(state.durable.plans)) {
        if (!orders.some((listed) => sameBytes(hashOfOrder(listed), hashOfOrder(making.order)))) continue;
        const packets = attendsOf(state, plan)
          .filter(({ message }) => !making.served.has(`${by.name}/${plan}/${message.by}`))
          .map(({ message }) => {
            making.served.add(`${by.name}/${plan}/${message.by}`);
            return this.#dealing(making, {
              epoch: headOf(state).epoch + 1,
              plan: fromHex(plan),
              receiver: message.by,
              sealingKey: message.sealingKey,
            });
          });
        if (packets.length > 0) void by.driver?.submitDealings(packets);
      }
  }

  #parameters = (threshold: number) => ({
    membersMax: this.#world.genesis.membersMax,
    threshold,
    modulusBits: 512,
  });

  #create(threshold: number): KeyCreation {
    const parameters = this.#parameters(threshold);
    return createKeyFromPrimes({
      ...samplePrimes(512, 2),
      e: 65537n,
      parameters,
      randomBytes: this.#random,
    });
  }

  #newClient(name: string): Action {
    const { publicKey } = ed25519FromSeed(this.#random(32));
    return {
      type: 'add-client',
      client: { name, publicKey, rights: [{ key: '*', operations: ['sign'] }], ratePerMinute: 0 },
    };
  }

  #dealing(
    { creation, key, commitments }: Creating,
    tie: { epoch: number; plan: Uint8Array; receiver: number; sealingKey: Uint8Array },
  ): Packet {
    const { epoch, plan, receiver, sealingKey } = tie;
    const half = encode({ epoch, plan, dealer: 0, parts: [{ key, commitments }] });
    const cluster = clusterIdOf(this.#world.genesis);
    const digest = digestOfDealing(half);
    const envelope = seal({
      cipher: 'aes',
      receiverKey: sealingKey,
      entropy: this.#random(32),
      context: envelopeContext({ cluster, epoch, plan, digest, sender: 0, receiver, key }),
      plaintext: packNumber(creationShare(creation, receiver), this.#parameters(commitments.length + 1)),
    });
    const body = encode({ type: 'dealing', by: 0, receiver, public: half, envelopes: [envelope] });
    return signPacket(cluster, this.#world.operatorSeed, body);
  }
}

const keyAction = (name: string, { public: key, commitments }: KeyCreation): Action => ({
  type: 'create-key',
  name,
  use: 'sign',
  modulus: numberBytes(key.modulus),
  exponent: numberBytes(key.exponent),
  base: numberBytes(key.base),
  constant: numberBytes(key.constant),
  commitments: commitments.map(numberBytes),
});
