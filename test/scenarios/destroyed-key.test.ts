/** A destroyed key is gone when its holders have erased it; until then they are named. */
import { expect, test } from 'vitest';
import { destroyedKeysHeld } from '../../src/node/views/destroyed-keys.ts';
import { fivePeers } from './support.ts';

test('who was away when a key was destroyed is named until it is back, over later changes too', async () => {
  const group = await fivePeers({ membersMax: 5 });
  await group.createKey('kept');
  const held = (index: number) => destroyedKeysHeld(group.state(index)).map(({ members }) => members);
  expect(held(1)).toEqual([]);

  await group.stop(5);
  await group.order(1, { type: 'destroy-key', name: 'key' });
  await group.until(() => group.settledAt(3));
  expect(destroyedKeysHeld(group.state(1))).toEqual([{ name: 'key', epoch: 3, members: ['p5'] }]);
  expect([...group.node(5).home.records.keys()].filter((key) => key.startsWith('shares/'))).toEqual([
    'shares/2',
  ]);
  await group.refresh(2);
  expect(held(3)).toEqual([['p5']]);

  await group.restart(5);
  const nobodyHolds = (): boolean => [1, 2, 3, 4, 5].every((index) => held(index).length === 0);
  await group.until(() => group.settledAt(4) && nobodyHolds());
  expect(Object.keys(group.state(5).durable.shares[4] ?? {})).toHaveLength(1);
  await group.refresh(1);
  expect(held(2)).toEqual([]);
});
