/** Members come and go by epoch changes alone (§4, §5): the key stays, whoever holds it. */

import { expect, test } from 'vitest';
import { decodeSigned } from '../../src/crypto/integers.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { trialBlock } from '../../src/keys/rsa/encoding.ts';
import { publicOf } from '../../src/keys/rsa/setting.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { headOf, holdsShare, selfIn } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { Group, groupWithKey } from '../../src/simulation/world/group.ts';
import { orderOn } from '../../src/simulation/world/paper.ts';
import { fifthAwayInMidChange, fired } from './support.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

/** A signature of one fixed block by the shares of these peers, which are taken from their state. */
function signatureBy(group: Group, places: readonly number[], epochs?: readonly number[]): bigint | null {
  const value = headOf(group.state(places[0] as number));
  const record = value.keys[0]!;
  const key = publicOf(record.public);
  const parameters = { membersMax: group.genesis.membersMax, threshold: value.threshold, modulusBits: 512 };
  const block = trialBlock(new Uint8Array(32), record.id, key.modulus);
  const partials = new Map(
    places.map((place, at) => {
      const state = group.state(place);
      const share = decodeSigned(state.durable.shares[epochs?.[at] ?? value.epoch]![hex(record.id)]!);
      return [selfIn(state)!.index, partial({ key, parameters, share, block, blinding })] as const;
    }),
  );
  return combine({ key, parameters, block, partials });
}

test('a group grows from 3 to 9 and shrinks to 4 with other members than it began with: same key, same signature', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2, membersMax: 10 });
  const before = signatureBy(group, [1, 2]);
  expect(before).not.toBeNull();
  for (let place = 4; place <= 9; place += 1) {
    expect(await group.join(1)).toBe(place);
    expect(signatureBy(group, [place, 1])).toBe(before);
  }
  for (const place of [1, 2, 3, 4, 5]) {
    await group.evict(9, place);
    await group.until(() => group.epochOf(place) === group.epochOf(9), 30_000, 'the news of its eviction');
    const { durable } = group.state(place);
    expect(durable.shares).toEqual({});
    expect(durable.epochSecrets).toEqual({});
    await group.stop(place);
    await group.until(() => group.settledAt(group.epochOf(9)));
  }
  expect(headOf(group.state(9)).roster.map(({ name }) => name)).toEqual(['p6', 'p7', 'p8', 'p9']);
  await group.refresh(6);
  expect(signatureBy(group, [6, 9])).toBe(before);
  expect(signatureBy(group, [7, 8])).toBe(before);
  await group.stopAll();
}, 120_000);

test('a 2-of-3 group replaces a dead machine once a second change can leave it out', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  const before = signatureBy(group, [1, 2]);
  await group.stop(3);
  const index = headOf(group.state(1)).roster.find(({ name }) => name === 'p3')!.index;
  await group.order(1, { type: 'evict', index });
  await group.until(() => headOf(group.state(1)).roster.length === 3 && group.settledAt(group.epochOf(1)));
  const place = await group.join(1);
  // The index of the dead machine is used again, with other keys.
  expect(selfIn(group.state(place))!.index).toBe(index);
  expect(signatureBy(group, [1, place])).toBe(before);
  await group.stopAll();
});

test('a raised threshold needs more shares from then on, and the key stays', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 2 });
  const before = signatureBy(group, [1, 2]);
  await group.order(1, { type: 'raise-threshold', threshold: 3 });
  await group.until(() => group.epochOf(1) === 2 && group.settledAt(2));
  expect(headOf(group.state(1)).threshold).toBe(3);
  expect(signatureBy(group, [1, 2, 3])).toBe(before);
  expect(signatureBy(group, [3, 4, 5])).toBe(before);
  // Two shares of the new epoch lie on a polynomial of degree 2: they say nothing.
  const value = headOf(group.state(1));
  const key = publicOf(value.keys[0]!.public);
  const block = trialBlock(new Uint8Array(32), value.keys[0]!.id, key.modulus);
  const old = { membersMax: group.genesis.membersMax, threshold: 2, modulusBits: 512 };
  const partials = new Map(
    [1, 2].map((place) => {
      const share = decodeSigned(group.state(place).durable.shares[2]![hex(value.keys[0]!.id)]!);
      return [place, partial({ key, parameters: old, share, block, blinding })] as const;
    }),
  );
  expect(combine({ key, parameters: old, block, partials })).toBeNull();
  await group.refresh(2);
  expect(signatureBy(group, [2, 4, 5])).toBe(before);
  await group.stopAll();
});

test('a change that would leave too few members in both rosters is refused, and so is a threshold that the group cannot carry', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  await expect(group.order(1, { type: 'raise-threshold', threshold: 4 })).rejects.toThrow('cannot carry');
  await expect(group.order(1, { type: 'raise-threshold', threshold: 2 })).rejects.toThrow(
    'can only be raised',
  );
  await group.stopAll();
});

test('a peer that comes back while a refresh runs is told to wait, and served right after', async () => {
  const group = await fifthAwayInMidChange();
  await group.restart(5);
  await group.until(() => group.epochOf(5) === 3 && holdsShare(group.state(5)), 60_000, 'the share of p5');
  expect(fired(group, 5, 'recover-told-to-wait')).toBe(true);
  await group.until(() => group.settledAt(3));
  await group.stopAll();
});

test('whoever joins before there is any key takes full part in creating the first one', async () => {
  const group = new Group({ peers: 3, threshold: 2, membersMax: 8 });
  await group.start();
  await group.refresh(1);
  for (const place of [4, 5, 6]) expect(await group.join(1)).toBe(place);
  for (const place of [1, 2]) {
    await group.evict(6, place);
    await group.stop(place);
  }
  await group.createKey('late', 6);
  expect(signatureBy(group, [4, 5])).toBe(signatureBy(group, [3, 6]));
  await group.stopAll();
});

test('orders that do not fit into one change are carried out one after the other by themselves', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  const head = headOf(group.state(1));
  // k + 2m members must be in both rosters: of five, one cannot be replaced in one change.
  const epochKey = ed25519FromSeed(group.random(32)).publicKey;
  const actions = [
    { type: 'evict' as const, index: 5 },
    { type: 'admit' as const, name: 'q', peer: 'peer-0099', epochKey },
  ];
  for (const [at, action] of actions.entries())
    await group
      .node(1)
      .driver?.submitOrder(orderOn(group, head, action, { sequence: head.lastOrder + 1 + at }));
  await group.until(
    () => headOf(group.state(1)).roster.some(({ name }) => name === 'q'),
    60_000,
    'the replacement',
  );
  const after = (epochs: number) =>
    group.state(1).durable.links[head.epoch + epochs]?.value.roster.map(({ name }) => name);
  expect(after(1)).toEqual(['p1', 'p2', 'p3', 'p4']);
  expect(after(2)).toEqual(['p1', 'p2', 'p3', 'p4', 'q']);
  await group.stopAll();
});
