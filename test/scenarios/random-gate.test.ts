/** Step 5, the random gate: load control that never costs a refresh, seen over many epochs. */
import { expect, test } from 'vitest';
import { dealersOf, fivePeers, linkOf, verificationKeysOf } from './support.ts';

test('with every gate at one half twenty refreshes complete, each changes every verification key, and its link names who dealt', async () => {
  const group = await fivePeers({ gate: 0.5, seed: 7 });
  const dealers: number[][] = [];
  for (let epoch = 2; epoch <= 21; epoch += 1) {
    await group.refresh((epoch % 5) + 1);
    const [before, after] = [linkOf(group.state(1), epoch - 1), linkOf(group.state(1), epoch)];
    const old = new Set(verificationKeysOf(before));
    expect(verificationKeysOf(after).every((key) => !old.has(key))).toBe(true);
    expect(after.value.keys).toEqual(before.value.keys);
    dealers.push(dealersOf(after));
    for (const by of dealersOf(after))
      expect(group.rules(by).includes('deal'), `p${by} is named because it dealt`).toBe(true);
    expect(dealersOf(after).length).toBeGreaterThanOrEqual(3);
  }
  const closed = group.trace.filter(({ output }) => output.type === 'rule' && output.rule === 'gate-closed');
  expect(closed.length).toBeGreaterThan(20);
  expect(dealers.some((list) => list.length < 5)).toBe(true);
});
