/** Lies about the operators' orders (protocol §4.1, §6). */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import { draftOfPlan, headOf } from '../../protocol/machine/queries.ts';
import type { Dealing, DealingPublic, Frame } from '../../protocol/records/change-messages.ts';
import { encode, fromHex } from '../../protocol/records/codec.ts';
import { draftOf, planOf } from '../../protocol/records/draft.ts';
import type { Action, Order } from '../../protocol/records/order.ts';
import { signPacket } from '../../protocol/records/packet.ts';
import { hashAt, hashOfValue, operatorDealer } from '../../protocol/records/value.ts';
import { orderOn } from '../world/paper.ts';
import type { Peer } from '../world/world.ts';
import type { Liar, Lie } from './liar.ts';

/**
 * An order that the operators signed on another branch, with the plan that it would make here. A group that
 * was forced apart has such orders. The order is on the newest epoch or on an earlier one.
 */
function strayOrder(liar: Liar): { plan: Uint8Array; order: Order } | null {
  const { state, world } = liar;
  if (state === null) return null;
  const head = headOf(state);
  const name = `stray-${head.epoch}`;
  if (head.clients.some((client) => client.name === name)) return null;
  const publicKey = hashOfValue({ ...head, lastOrder: head.lastOrder + 1 });
  const action: Action = { type: 'add-client', client: { name, publicKey, rights: [], ratePerMinute: 0 } };
  const ancestorEpoch = Math.max(0, head.epoch - ((liar.order + world.options.seed) % 3));
  const on = (ancestor: Uint8Array) => orderOn(world, head, action, { ancestor, ancestorEpoch });
  const order = on(publicKey);
  const twin = on(hashAt(head, ancestorEpoch) as Uint8Array);
  return { order, plan: planOf(head, draftOf(world.genesis, state.clusterId, head, [twin]), [order]) };
}

function strangersDealings(liar: Liar, to: Peer): Frame[] {
  const { state, world } = liar;
  if (state === null) return [];
  const seed = liar.chance(0.5) ? liar.randomBytes(32) : world.operatorSeed;
  return Object.keys(state.durable.plans).flatMap((plan) =>
    (draftOfPlan(state, plan)?.created ?? []).map(({ key, action }): Frame => {
      const dealingKey = liar.chance(0.3) ? action.dealingKey : ed25519FromSeed(seed).publicKey;
      const half = encode({
        ...{ v: 1, epoch: headOf(state).epoch + 1, plan: fromHex(plan), dealer: operatorDealer, dealingKey },
        parts: [{ key: key.id, commitments: action.commitments }],
      } satisfies DealingPublic);
      const envelopes = [liar.randomBytes(400)];
      const body = encode({
        v: 1,
        type: 'dealing',
        by: operatorDealer,
        receiver: to.index,
        public: half,
        envelopes,
      } satisfies Dealing);
      return { type: 'message', message: { packet: signPacket(state.clusterId, seed, body) } };
    }),
  );
}

export const orderLies = {
  'order-of-another-branch': {
    message: (liar, _to, message) => {
      const stray = message.type === 'attend' ? strayOrder(liar) : null;
      return stray && liar.forge({ ...message, plan: stray.plan }, { orders: [stray.order] });
    },
  },
  /**
   * The dealing of an ordered key is garbage, and comes before and beside the true one. A key of the liar or
   * of an operator signs it.
   */
  'new-key-dealt-by-a-stranger': {
    message: (liar, to, message, carried) =>
      message.type === 'attend' || message.type === 'have'
        ? [...strangersDealings(liar, to), { type: 'message', message: carried }]
        : null,
    act: (liar) => {
      let told = false;
      for (const to of liar.others)
        for (const frame of strangersDealings(liar, to)) {
          liar.send(to, frame);
          told = true;
        }
      return told;
    },
  },
} satisfies Record<string, Lie>;
