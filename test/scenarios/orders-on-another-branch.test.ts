/** §4.1, §6: an order takes effect only after the very value that its operators signed it on, whoever brings it. */
import { expect, test } from 'vitest';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { encode, hex } from '../../src/protocol/records/codec.ts';
import { draftOf, planOf } from '../../src/protocol/records/draft.ts';
import type { Order, OrderBody } from '../../src/protocol/records/order.ts';
import { hashOfValue } from '../../src/protocol/records/value.ts';
import { step } from '../../src/protocol/step.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { orderOn } from '../../src/simulation/world/paper.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { flipped } from '../protocol/support.ts';
import { fivePeers, forge, linkOf, messageIn } from './support.ts';

/** What the operators sign with another ancestor than this group's value of that epoch. */
function orderOf(group: Group, change: Partial<OrderBody>): { order: Order; plan: Uint8Array } {
  const head = headOf(group.state(1));
  const client = { name: 'stray', publicKey: seededBytes('stray')(32), rights: [], ratePerMinute: 0 };
  const [order, twin] = [change, {}].map((changed) =>
    orderOn(group, head, { type: 'add-client', client }, changed),
  ) as [Order, Order];
  // The draft of a true order is that of the false one too: only the ancestor differs.
  const draft = draftOf(group.genesis, group.state(1).clusterId, head, [twin]);
  return { order, plan: planOf(head, draft, [order]) };
}

test('an order that was signed on another branch, taught by an Attend, takes effect nowhere', async () => {
  const group = await fivePeers();
  for (const depth of [0, 1]) {
    const epoch = headOf(group.state(1)).epoch;
    const ancestor = flipped(hashOfValue(linkOf(group.state(1), epoch - depth).value));
    const { order, plan } = orderOf(group, { ancestor, ancestorEpoch: epoch - depth });
    let taught = 0;
    group.intercept = ({ from }, frame) => {
      const message = messageIn(frame);
      if (from !== 'p5' || message?.type !== 'attend' || message.by !== 5) return [frame];
      taught += 1;
      return [forge(group.state(5), { ...message, plan }, { orders: [order] })];
    };
    group.node(1).driver?.refresh();
    const honest = [1, 2, 3, 4];
    await group.until(() => honest.every((index) => group.state(index).durable.own.retired === epoch + 1));
    expect(taught).toBeGreaterThan(0);
    expect(headOf(group.state(1)).clients).toEqual([]);
    expect(headOf(group.state(1)).lastOrder).toBe(1);
    await group.until(() => group.epochOf(5) === epoch + 1);
  }
});

test('it is refused where it is handed in, also by a member that lacks the links of that time', async () => {
  const group = await fivePeers();
  await group.refresh(1);
  const state = group.state(1);
  const { epoch } = headOf(state);
  const { [epoch - 1]: _, ...links } = state.durable.links;
  const young = { ...state, durable: { ...state.durable, links } };
  for (const [change, refused] of [
    [{}, false],
    [{ ancestor: flipped(hashOfValue(headOf(state))) }, true],
    [{ ancestor: hashOfValue(linkOf(state, epoch - 1).value), ancestorEpoch: epoch - 1 }, false],
    [{ ancestor: flipped(hashOfValue(linkOf(state, epoch - 1).value)), ancestorEpoch: epoch - 1 }, true],
    [{ ancestorEpoch: epoch - 1 }, true],
  ] as const)
    for (const at of [state, young]) {
      const { order } = orderOf(group, change);
      const stamp = {
        atMs: state.volatile.nowMs,
        wallMs: state.volatile.wallMs,
        entropy: new Uint8Array(32),
      };
      const { outputs } = step(at, { ...stamp, type: 'order', order });
      const why = outputs.flatMap((output) => (output.type === 'refused' ? [output.why] : []));
      expect(why.join(), hex(encode(change))).toMatch(refused ? 'another value of epoch' : /^$/);
    }
});
