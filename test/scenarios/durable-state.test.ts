/**
 * What a peer's store holds is its durable state, and nothing else is: at any moment one can be made from the
 * other.
 */
import { expect, test } from 'vitest';
import { durableDelta, durableFromRecords } from '../../src/protocol/machine/durable-records.ts';
import { emptyDurable } from '../../src/protocol/machine/durable-state.ts';
import { encode, hex } from '../../src/protocol/records/codec.ts';
import { fired, fivePeers } from './support.ts';

const inHex = (records: Iterable<readonly [string, Uint8Array]>) =>
  new Map([...records].map(([key, value]) => [key, hex(value)]));

test('the state comes back from its records, in the middle of a change and after it', async () => {
  const group = await fivePeers();
  const check = () => {
    for (const index of [1, 2, 3, 4, 5]) {
      const { durable } = group.state(index);
      const whole = durableDelta(emptyDurable(), durable);
      expect(whole.deletes).toEqual([]);
      // Written step by step, the store holds the same records as if the state were written at once.
      expect(inHex(group.node(index).home.records)).toEqual(inHex(whole.puts));
      expect(hex(encode(durableFromRecords(new Map(whole.puts))))).toBe(hex(encode(durable)));
      expect(durableDelta(durable, durable)).toEqual({ puts: [], deletes: [] });
    }
  };
  check();
  group.node(1).driver?.refresh();
  for (const rule of ['attend', 'have', 'prevote', 'precommit', 'adopt', 'ready', 'retire'] as const) {
    await group.until(() => [1, 2, 3, 4, 5].every((index) => fired(group, index, rule, { epoch: 2 })));
    check();
  }
});
