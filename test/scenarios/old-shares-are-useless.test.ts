/**
 * §7.3: k shares of one epoch sign; k shares of two epochs do not, whichever they are. Taken from running
 * peers.
 */

import { expect, test } from 'vitest';
import { decodeSigned } from '../../src/crypto/integers.ts';
import { elementOf } from '../../src/keys/rsa/numbers.ts';
import { parametersOf, publicOf } from '../../src/keys/rsa/setting.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { subsetsOf } from '../../src/simulation/world/sample-keys.ts';
import { fivePeers } from './support.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const peers = [1, 2, 3, 4, 5];

/** Every peer's share of the only key in the newest epoch. */
const sharesOf = (group: Group): Map<number, bigint> =>
  new Map(
    peers.map((index) => {
      const { durable } = group.state(index);
      const id = hex(headOf(group.state(index)).keys[0]?.id ?? new Uint8Array());
      const share = durable.shares[durable.own.head]?.[id];
      if (share === undefined) throw new Error(`p${index} holds no share`);
      return [index, decodeSigned(share)];
    }),
  );

test('any three shares of epoch 5 or of epoch 6 sign for the same public key, and no mixture of the two does', async () => {
  const group = await fivePeers();
  while (group.epochOf(1) < 5) await group.refresh(1);
  const fifth = sharesOf(group);
  await group.refresh(2);
  expect(group.epochOf(1)).toBe(6);
  const sixth = sharesOf(group);
  for (const index of peers) expect(fifth.get(index)).not.toBe(sixth.get(index));

  const [record] = headOf(group.state(1)).keys;
  if (record === undefined) throw new Error('the group has a key');
  const key = publicOf(record.public);
  const parameters = parametersOf({
    public: record.public,
    threshold: 3,
    membersMax: group.genesis.membersMax,
  });
  const block = elementOf(new Uint8Array(60).fill(7));
  const partials = [fifth, sixth].map(
    (shares) =>
      new Map([...shares].map(([i, share]) => [i, partial({ key, parameters, share, block, blinding })])),
  );
  const signatures = new Set<bigint>();
  for (const members of subsetsOf(peers, 3))
    for (let mixture = 0; mixture < 8; mixture += 1) {
      const epochs = members.map((_, at) => (mixture >> at) & 1);
      const chosen = new Map(
        members.map((index, at) => [index, partials[epochs[at] as number]?.get(index) as bigint]),
      );
      const signature = combine({ key, parameters, block, partials: chosen });
      if (mixture === 0 || mixture === 7) {
        expect(signature, `${members} of one epoch`).not.toBeNull();
        signatures.add(signature as bigint);
      } else expect(signature, `${members} of epochs ${epochs}`).toBeNull();
    }
  expect(signatures.size).toBe(1);
});
