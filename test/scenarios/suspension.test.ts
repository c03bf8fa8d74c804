import { expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { encode } from '../../src/protocol/codec.ts';
import { signPacket } from '../../src/protocol/packet.ts';
import { attendsOf, headOf, holdsShare } from '../../src/protocol/queries.ts';
import { groupWithKey } from '../support/group.ts';

test('a member with two Attends for one plan is left out, recorded with both, and suspended until it is evicted', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  // p5's epoch key is in other hands too: somebody signs a second Attend with it.
  const self = headOf(group.state(5)).roster[4]!;
  const secret = group.state(5).durable.epochSecrets[Buffer.from(self.epochKey).toString('hex')]!;
  group.node(1).driver?.refresh();
  await group.until(() => Object.keys(group.state(1).durable.plans).length > 0);
  const plan = Object.keys(group.state(1).durable.plans)[0]!;
  await group.until(() => attendsOf(group.state(1), plan).some(({ message }) => message.by === 5));
  const second = encode({
    type: 'attend',
    by: 5,
    epoch: headOf(group.state(1)).epoch + 1,
    plan: new Uint8Array(Buffer.from(plan, 'hex')),
    epochKey: ed25519FromSeed(group.random(32)).publicKey,
    sealingKey: group.random(32),
  });
  const packet = signPacket(group.state(1).clusterId, secret, second);
  const frame = encode({ type: 'message', message: { packet } });
  for (const node of group.nodes.slice(0, 4))
    void node.driver?.dispatch({ type: 'gossip', from: 'peer-0005', frame });
  await group.until(() => group.epochOf(1) === 2 && group.epochOf(5) === 2);

  const value = headOf(group.state(1));
  expect(value.suspended.map(({ index }) => index)).toEqual([5]);
  expect(value.accepted.map(({ dealer }) => dealer)).not.toContain(5);

  // It takes no part in the next change, the others go on, and it gets no share from them.
  group.node(1).driver?.refresh();
  await group.until(() =>
    [1, 2, 3, 4].every((index) => group.epochOf(index) === 3 && group.state(index).durable.own.retired === 3),
  );
  await group.until(() => group.epochOf(5) === 3);
  await group.run(10_000);
  expect(holdsShare(group.state(5))).toBe(false);
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);

  await group.order(1, { type: 'evict', index: 5 });
  await group.until(() => group.epochOf(1) === 4);
  expect(headOf(group.state(1)).suspended).toEqual([]);
  await group.stopAll();
});
