/**
 * §1, the crash model: 2-of-3 refreshes with one peer down, and signs; the same group that may meet liars
 * waits.
 */

import { expect, test } from 'vitest';
import { decodeSigned } from '../../src/crypto/integers.ts';
import { elementOf } from '../../src/keys/rsa/numbers.ts';
import { parametersOf, publicOf } from '../../src/keys/rsa/setting.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { dealersOf, fired, fivePeers, linkOf } from './support.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const three = { peers: 3, threshold: 2 };
const block = elementOf(new Uint8Array(60).fill(7));

/** What these members make of their newest shares; null when it is no signature under the group's key. */
function signatureOf(group: Group, members: readonly number[]): bigint | null {
  const [record] = headOf(group.state(1)).keys;
  if (record === undefined) throw new Error('the group has a key');
  const key = publicOf(record.public);
  const parameters = parametersOf({
    public: record.public,
    threshold: 2,
    membersMax: group.genesis.membersMax,
  });
  const partials = members.map((index): [number, bigint] => {
    const { shares, own } = group.state(index).durable;
    const share = decodeSigned(shares[own.head]?.[hex(record.id)] as Uint8Array);
    return [index, partial({ key, parameters, share, block, blinding })];
  });
  return combine({ key, parameters, block, partials: new Map(partials) });
}

test('crash model: 2-of-3 refreshes with one dead, the two left sign, and the third has its share when it is back', async () => {
  const group = await fivePeers({ ...three, faultModel: 'crash' });
  const before = signatureOf(group, [1, 2]);
  await group.stop(3);
  const epoch = await group.refresh();
  expect([1, 2].map((index) => group.state(index).durable.own.retired)).toEqual([epoch, epoch]);
  expect(dealersOf(linkOf(group.state(1), epoch))).toEqual([1, 2]);
  expect(signatureOf(group, [1, 2])).toBe(before);
  expect(before).not.toBeNull();
  await group.restart(3);
  await group.until(() => group.epochOf(3) === epoch && holdsShare(group.state(3)), 30_000, 'the recovery');
  expect(signatureOf(group, [2, 3])).toBe(before);
});

test('where peers may lie, 2-of-3 with one dead waits, signs meanwhile, and goes on when it is back', async () => {
  const group = await fivePeers(three);
  await group.stop(3);
  group.node(1).driver?.refresh();
  await group.run(60_000);
  expect([1, 2].map((index) => group.epochOf(index))).toEqual([1, 1]);
  // It waits from the first step on: all three must attend.
  expect(fired(group, 1, 'attend', { epoch: 2 })).toBe(true);
  expect(fired(group, 1, 'deal', { epoch: 2 })).toBe(false);
  expect(signatureOf(group, [1, 2])).not.toBeNull();
  await group.restart(3);
  await group.until(() => group.settledAt(2), 60_000, 'the refresh');
});
