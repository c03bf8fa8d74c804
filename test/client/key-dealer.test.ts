/**
 * The dealer of a new key trusts no member: what one attends with is checked, and stops no dealing to the
 * others.
 */
import { expect, test } from 'vitest';
import { KeyDealer } from '../../src/client/key-dealer.ts';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { rsaSecret } from '../../src/keys/rsa/kind.ts';
import { dealingSchema } from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import { draftOf, planOf } from '../../src/protocol/records/draft.ts';
import { signPacket, verifyPacket } from '../../src/protocol/records/packet.ts';
import { orderOn, paperCluster } from '../../src/simulation/world/paper.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { nextLink } from '../protocol/support.ts';

const paper = paperCluster();
const head = paper.founding.value;
const random = seededBytes('key dealer');

function dealtTo(sealingKeyOf: (index: number) => Uint8Array): number[] {
  const dealer = new KeyDealer({
    ...{ genesis: paper.genesis, cluster: paper.clusterId, cipher: 'aes', head },
    key: { name: 'key', use: 'sign', secret: rsaSecret(samplePrimes(512), 65537n) },
  });
  const order = orderOn(paper, head, dealer.action);
  const plan = planOf(head, draftOf(paper.genesis, paper.clusterId, head, [order]), [order]);
  const attends = paper.epochSeeds.map((seed, at) =>
    signPacket(
      paper.clusterId,
      seed,
      encode({
        ...{ v: 1, type: 'attend', by: at + 1, epoch: 1, plan, epochKey: random(32) },
        sealingKey: sealingKeyOf(at + 1),
      }),
    ),
  );
  const view = { head: paper.founding, plan, attends, orders: [order] };
  const { packets } = dealer.dealings(head, view, order);
  return packets.map(({ body }) => decode(dealingSchema, body).receiver);
}

test('everybody who attends gets its number, but for one whose sealing key protects nothing', () => {
  const honest = () => sealingKeyFromSeed(random(32)).publicKey;
  expect(dealtTo(honest)).toEqual([1, 2, 3, 4, 5]);
  expect(dealtTo((index) => (index === 2 ? new Uint8Array(32) : honest()))).toEqual([1, 3, 4, 5]);
});

test('every packet is signed by the key that the order names, another one for each sharing', () => {
  const dealer = new KeyDealer({
    ...{ genesis: paper.genesis, cluster: paper.clusterId, cipher: 'aes', head },
    key: { name: 'key', use: 'sign', secret: rsaSecret(samplePrimes(512), 65537n) },
  });
  const { action } = dealer;
  const order = orderOn(paper, head, action);
  const plan = planOf(head, draftOf(paper.genesis, paper.clusterId, head, [order]), [order]);
  const attends = paper.epochSeeds.map((seed, at) => {
    const { publicKey: sealingKey } = sealingKeyFromSeed(random(32));
    const attend = { v: 1, type: 'attend', by: at + 1, epoch: 1, plan, epochKey: random(32), sealingKey };
    return signPacket(paper.clusterId, seed, encode(attend));
  });
  const { packets } = dealer.dealings(head, { head: paper.founding, plan, attends, orders: [order] }, order);
  expect(packets).toHaveLength(5);
  for (const packet of packets) {
    expect(verifyPacket(paper.clusterId, action.dealingKey, packet)).toBe(true);
    expect(paper.genesis.operators.some((key) => verifyPacket(paper.clusterId, key, packet))).toBe(false);
  }
  expect(dealer.renew(nextLink(paper, head, []).value)).toBe(true);
  expect(hex(dealer.action.dealingKey)).not.toBe(hex(action.dealingKey));
});
