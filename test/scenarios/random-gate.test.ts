/** Step 5, the random gate: load control that never costs a refresh, seen over many epochs. */

import { expect, test } from 'vitest';
import type { Durable } from '../../src/protocol/machine/durable-state.ts';
import { decodeStored } from '../../src/protocol/records/stored.ts';
import type { Node } from '../../src/simulation/world/nodes.ts';
import { dealersOf, fired, fivePeers, linkOf, verificationKeysOf } from './support.ts';

/** The numbers that a peer drew, by epoch, as it wrote them down. */
const drawnBy = (node: Node): Map<number, number> =>
  new Map(
    node.outputs.flatMap((output) => {
      const own = output.type === 'persist' ? output.puts.find(([key]) => key === 'own')?.[1] : undefined;
      const drawn = own === undefined ? null : (decodeStored(own) as Durable['own']).drawn;
      return drawn === null ? [] : [[drawn.epoch, drawn.number] as const];
    }),
  );

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
      expect(group.printed(by).includes('deal'), `p${by} is named because it dealt`).toBe(true);
    expect(dealersOf(after).length).toBeGreaterThanOrEqual(3);
  }
  expect(dealers.some((list) => list.length < 5)).toBe(true);

  // Below the gate a member does not deal in round 0; the numbers are uniform.
  const all: number[] = [];
  for (const [at, node] of group.nodes.entries()) {
    const drawn = drawnBy(node);
    all.push(...drawn.values());
    for (const [epoch, number] of drawn)
      expect(fired(group, at + 1, 'gate-closed', { epoch }), `epoch ${epoch}, drawn ${number}`).toBe(
        number <= 0.5,
      );
  }
  expect(all.length).toBe(21 * 5);
  expect(new Set(all).size).toBe(all.length);
  const mean = all.reduce((sum, number) => sum + number, 0) / all.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.1);
});
