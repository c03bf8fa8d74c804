/** §4 "Creation": only the dealer whom the order names deals a new key, and no other words keep its dealing away. */

import { expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { headOf } from '../../src/protocol/machine/queries.ts';
import {
  type Dealing,
  dealingPublicSchema,
  digestOfDealing,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import { operatorDealer } from '../../src/protocol/records/value.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fivePeers, messageIn } from './support.ts';

/**
 * Before each true dealing of a new key, its receiver gets one with the same public half and garbage in the
 * envelope.
 */
function garbageFirst(group: Group, seed: () => Uint8Array, times = 1): { told: number } {
  const counted = { told: 0 };
  group.intercept = (_, frame) => {
    const message = messageIn(frame);
    if (message?.type !== 'dealing' || message.by !== operatorDealer) return [frame];
    const garbage = Array.from({ length: times }, () => {
      const envelopes = message.envelopes.map((bytes) => group.random(bytes.length));
      const body: Dealing = { ...message, envelopes };
      counted.told += 1;
      const packet = signPacket(group.state(1).clusterId, seed(), encode(body));
      return { type: 'message' as const, message: { packet } };
    });
    return [...garbage, frame];
  };
  return counted;
}

test('one operator’s garbage does not keep a new key’s true dealing away', async () => {
  const group = await fivePeers({ key: false });
  const counted = garbageFirst(group, () => group.operatorSeed);
  await group.createKey();
  expect(counted.told).toBeGreaterThan(3);
  expect(headOf(group.state(1)).keys.map(({ name }) => name)).toEqual(['key']);
});

test('a dealer that deals garbage first and the truth after is judged by each packet, but not for ever', async () => {
  const seedOf = (group: Group) => () => group.dealingSeeds.get('key') as Uint8Array;
  const group = await fivePeers({ key: false });
  const counted = garbageFirst(group, seedOf(group));
  await group.createKey();
  expect(counted.told).toBeGreaterThan(3);
  expect(headOf(group.state(1)).keys.map(({ name }) => name)).toEqual(['key']);

  // Every other time that it comes it is another packet: each is opened once, and after so many no other is.
  const other = await fivePeers({ key: false });
  const opened = () =>
    other.node(2).outputs.filter((output) => output.type === 'rule' && output.rule === 'false-sub-share')
      .length;
  garbageFirst(other, seedOf(other));
  const { intercept } = other;
  other.intercept = (way, frame) => (intercept?.(way, frame) ?? []).slice(0, 1);
  await other.createKey();
  expect(opened()).toBeGreaterThan(1);
  expect(opened()).toBeLessThanOrEqual(limits.falseCreationsMax);
  expect(headOf(other.state(1)).keys).toEqual([]);
});

test('a dealing under another dealing key than the order’s leaves nothing behind, whoever hands it in', async () => {
  const group = await fivePeers({ key: false });
  const seed = group.random(32);
  const garbage: string[] = [];
  group.intercept = (_, frame) => {
    const message = messageIn(frame);
    if (message?.type !== 'dealing' || message.by !== operatorDealer) return [frame];
    const half = decode(dealingPublicSchema, message.public);
    const { publicKey: dealingKey } = ed25519FromSeed(seed);
    const bent = [
      { ...half, dealingKey },
      { ...half, dealingKey, plan: group.random(32) },
      { ...half, dealingKey, epoch: half.epoch + 1 },
    ].map((one) => encode(one));
    const packets = bent.map((bytes) =>
      signPacket(group.state(1).clusterId, seed, encode({ ...message, public: bytes })),
    );
    garbage.push(...bent.map((bytes) => hex(digestOfDealing(bytes))));
    for (const packet of packets) void group.node(1).driver?.submitDealings([packet]);
    return [...packets.map((packet) => ({ type: 'message' as const, message: { packet } })), frame];
  };
  await group.createKey();
  expect(garbage.length).toBeGreaterThan(3);
  expect(headOf(group.state(1)).keys.map(({ name }) => name)).toEqual(['key']);
  for (const { outputs } of group.nodes)
    for (const output of outputs)
      if (output.type === 'persist')
        for (const [key] of output.puts) expect(garbage).not.toContain(key.slice(key.indexOf('/') + 1));
});
