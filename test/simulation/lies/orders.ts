/** Lies about what the operators ordered (protocol §4.1, §6). */
import { draftOf, planOf } from '../../../src/protocol/draft.ts';
import { type Action, type Order, signOrder } from '../../../src/protocol/order.ts';
import { headOf } from '../../../src/protocol/queries.ts';
import { hashAt, hashOfValue } from '../../../src/protocol/value.ts';
import type { Liar, Lie } from './liar.ts';

/**
 * An order that the operators signed on another branch, such as a group that was forced apart has, with the plan that it
 * would make here: of the newest epoch, or of one before.
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
  const on = (ancestor: Uint8Array) =>
    signOrder(world.genesis, world.operatorSeed, {
      cluster: state.clusterId,
      ancestor,
      ancestorEpoch,
      sequence: head.lastOrder + 1,
      actions: [action],
    });
  const order = on(publicKey);
  const twin = on(hashAt(head, ancestorEpoch) as Uint8Array);
  return { order, plan: planOf(head, draftOf(world.genesis, state.clusterId, head, [twin]), [order]) };
}

export const orderLies = {
  'order-of-another-branch': {
    message: (liar, _to, message) => {
      const stray = message.type === 'attend' ? strayOrder(liar) : null;
      return stray && liar.forge({ ...message, plan: stray.plan }, { orders: [stray.order] });
    },
  },
} satisfies Record<string, Lie>;
