/**
 * Orders (§4, §6): what operators sign. Each names the cluster, an ancestor value and the next sequence
 * number, so that none can be replayed. It carries a list of actions, which take effect all or not at all, in
 * one epoch change whose plan contains the order (`draft.ts`).
 */
import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { ed25519FromSeed, sign, verify } from '../../crypto/signature.ts';
import { encode, hex, sameBytes, shape } from './codec.ts';
import { ProtocolError } from './errors.ts';
import type { Genesis } from './genesis.ts';
import { limits } from './limits.ts';
import { clientSchema, hashAt, keyUseSchema, type Value } from './value.ts';
import { around, record } from './version.ts';

const actionSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('create-key'),
    name: shape.name,
    kind: shape.kind,
    use: keyUseSchema,
    public: shape.bytes(limits.keyPublicBytesMax),
    commitments: z.array(shape.element).min(1).max(limits.membersMax),
    /**
     * §4 "Creation": the dealer's own key for this one sharing; what it signs is the key's dealing, and
     * nothing else is.
     */
    dealingKey: shape.key32,
  }),
  /** §4 "Joint creation": the members create the key together. */
  z.strictObject({
    type: z.literal('create-key-jointly'),
    name: shape.name,
    kind: shape.kind,
    use: keyUseSchema,
  }),
  z.strictObject({ type: z.literal('destroy-key'), name: shape.name }),
  z.strictObject({ type: z.literal('admit'), name: shape.name, peer: shape.peer, epochKey: shape.key32 }),
  z.strictObject({ type: z.literal('evict'), index: shape.index }),
  /** §5: the member at `index` comes back with a new identity and epoch key; it keeps its index and its name. */
  z.strictObject({
    type: z.literal('reinstate'),
    index: shape.index,
    peer: shape.peer,
    epochKey: shape.key32,
  }),
  /** §5: more than `faults` members are gone for good; those who remain decide alone. */
  z.strictObject({
    type: z.literal('force-evict'),
    remaining: z.array(shape.index).min(2).max(limits.membersMax),
  }),
  z.strictObject({
    type: z.literal('raise-threshold'),
    threshold: z.number().int().min(2).max(limits.membersMax),
  }),
  z.strictObject({ type: z.literal('add-client'), client: clientSchema }),
  z.strictObject({ type: z.literal('remove-client'), name: shape.name }),
]);
export type Action = z.infer<typeof actionSchema>;
export type CreateKey = Extract<Action, { type: 'create-key' }>;
type ForceEvict = Extract<Action, { type: 'force-evict' }>;

const orderBodyRecord = record('an order', 1, {
  cluster: shape.hash,
  ancestor: shape.hash,
  ancestorEpoch: shape.epoch,
  sequence: z.number().int().min(1),
  actions: z.array(actionSchema).min(1).max(limits.actionsPerOrderMax),
});
const orderBodySchema = orderBodyRecord.refine((body) => encode(body).length <= limits.orderBodyBytesMax, {
  message: `an order has at most ${limits.orderBodyBytesMax} bytes`,
});
export type OrderBody = z.infer<typeof orderBodySchema>;

export const operatorSignatureSchema = z.strictObject({
  operator: z
    .number()
    .int()
    .min(0)
    .max(limits.operatorsMax - 1),
  signature: shape.signature,
});
export type OperatorSignature = z.infer<typeof operatorSignatureSchema>;

export const orderSchema = around(
  orderBodyRecord.record,
  z.strictObject({
    body: orderBodySchema,
    signatures: z.array(operatorSignatureSchema).min(1).max(limits.operatorsMax),
  }),
);
export type Order = z.infer<typeof orderSchema>;

const orderDomain = 'holdfast/order/1';
export const hashOfOrder = (order: Order): Uint8Array => hashOf(orderDomain, encode(order.body));
export const orderId = (order: Order): string => hex(hashOfOrder(order));

/** The forced eviction that an order carries; such an order has no other action (`draft.ts` refuses it otherwise). */
export const forcedEvictionIn = ({ body }: Order): ForceEvict | null =>
  body.actions.find((action) => action.type === 'force-evict') ?? null;

/**
 * Peers that an order gives a place in the roster: admitted ones, and new identities of members that are
 * reinstated.
 */
export const admittedBy = ({ body }: Order) =>
  body.actions.filter((action) => action.type === 'admit' || action.type === 'reinstate');

/** Signs a digest as the operator whose secret seed is given; throws `bad-order` when the genesis does not list it. */
export function operatorSign(genesis: Genesis, seed: Uint8Array, digest: Uint8Array): OperatorSignature {
  const { publicKey } = ed25519FromSeed(seed);
  const operator = genesis.operators.findIndex((key) => sameBytes(key, publicKey));
  if (operator < 0) throw new ProtocolError('bad-order', 'this operator key is not one of the cluster’s');
  return { operator, signature: sign(seed, digest) };
}

/** Whether `m` different operators of the genesis signed the digest. */
export function operatorsAgree(
  genesis: Genesis,
  signatures: readonly OperatorSignature[],
  digest: Uint8Array,
): boolean {
  const agreed = new Set<number>();
  for (const { operator, signature } of signatures) {
    const key = genesis.operators[operator];
    if (key === undefined || !verify(key, digest, signature)) return false;
    agreed.add(operator);
  }
  return agreed.size >= genesis.operatorsNeeded;
}

export function signOrder(genesis: Genesis, seed: Uint8Array, body: OrderBody): Order {
  return { body, signatures: [operatorSign(genesis, seed, hashOfOrder({ body, signatures: [] }))] };
}

/**
 * Orders whose signatures were found true under a genesis. They are immutable, and plans are drafted from
 * them at almost every step: one check of each is enough.
 */
const signedUnder = new WeakMap<Order, Genesis>();

/** Checks an order by itself: cluster, signatures, age, ancestor. Throws `bad-order`. */
export function checkOrder(genesis: Genesis, clusterId: Uint8Array, head: Value, order: Order): void {
  const { body } = order;
  if (!sameBytes(body.cluster, clusterId))
    throw new ProtocolError('bad-order', 'the order is for another cluster');
  if (signedUnder.get(order) !== genesis) {
    if (!operatorsAgree(genesis, order.signatures, hashOfOrder(order)))
      throw new ProtocolError(
        'bad-order',
        `the order needs valid signatures of ${genesis.operatorsNeeded} operators`,
      );
    signedUnder.set(order, genesis);
  }
  if (body.sequence <= head.lastOrder)
    throw new ProtocolError('bad-order', `order ${body.sequence} was used already`, { action: 'ignore' });
  if (body.ancestorEpoch > head.epoch)
    throw new ProtocolError('early', 'the order names a value that is not known here yet', {
      action: 'ignore',
    });
  if (head.epoch - body.ancestorEpoch > limits.orderAgeEpochsMax)
    throw new ProtocolError(
      'bad-order',
      `the order is more than ${limits.orderAgeEpochsMax} epochs old; sign it again`,
    );
  const ancestor = hashAt(head, body.ancestorEpoch);
  if (ancestor === undefined || !sameBytes(ancestor, body.ancestor))
    throw new ProtocolError(
      'bad-order',
      `the order was signed on another value of epoch ${body.ancestorEpoch} than this group's`,
    );
}
