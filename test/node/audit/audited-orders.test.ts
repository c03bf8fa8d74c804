/** Orders in the audit log: each has its line, and whoever hands in the same one for ever fills no disk. */
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/node/audit/entry.ts';
import { GroupAudit } from '../../../src/node/audit/group-audit.ts';
import { Repeats } from '../../../src/node/audit/repeats.ts';
import type { CoreState } from '../../../src/protocol/machine/state.ts';
import { hex } from '../../../src/protocol/records/codec.ts';
import { hashOfOrder, type Order } from '../../../src/protocol/records/order.ts';
import { VirtualTime } from '../../../src/simulation/world/virtual-time.ts';

const order = (sequence: number): Order =>
  ({ body: { sequence, actions: [{ type: 'evict', index: 2 }] }, signatures: [] }) as unknown as Order;
const knowing = (...orders: Order[]): CoreState =>
  ({
    durable: {
      own: { head: 0, retired: 0 },
      links: {},
      orders: Object.fromEntries(orders.map((one) => [one.body.sequence, one])),
    },
  }) as unknown as CoreState;

function bench() {
  const entries: AuditEntry[] = [];
  const time = new VirtualTime();
  const note = (entry: AuditEntry): void => void entries.push(entry);
  const repeats = new Repeats({ clock: time.clock(), note });
  const audit = new GroupAudit({ note, repeats });
  audit.look(knowing());
  return { audit, entries, repeats, time };
}
const accepted = async (): Promise<void> => {};

test('an order that is pending already is counted when it is handed in again', async () => {
  const { audit, entries, repeats } = bench();
  await audit.handIn(order(1), async () => audit.look(knowing(order(1))));
  for (let at = 0; at < 100; at += 1) await audit.handIn(order(1), accepted);
  await audit.handIn(order(2), async () => audit.look(knowing(order(1), order(2))));
  repeats.close();
  expect(entries).toMatchObject([
    { event: 'order', by: 'operator', outcome: 'accepted', order: hex(hashOfOrder(order(1))) },
    { event: 'order', by: 'operator', outcome: 'accepted', order: hex(hashOfOrder(order(2))) },
    { event: 'repeated', what: 'order', from: 'operator', outcome: 'accepted again', count: 100 },
  ]);
});

test('after the end nothing is counted, and no timer is left', async () => {
  const { repeats, time } = bench();
  repeats.close();
  expect(repeats.admits({ what: 'use', from: 'client', outcome: 'failed', code: 'not-enough-peers' })).toBe(
    false,
  );
  expect(await time.next()).toBe(false);
});
