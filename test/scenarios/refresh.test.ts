import { afterEach, expect, test } from 'vitest';
import { type Group, groupWithKey } from '../support/group.ts';

let group: Group | null = null;
afterEach(async () => {
  await group?.stopAll();
  group = null;
});

test('five peers create a key and refresh it', async () => {
  group = await groupWithKey({ peers: 5, threshold: 3 });
  console.log(group.time.now(), group.rules(1).join(' '));
  for (let i = 0; i < 3; i++) {
    const t = performance.now();
    await group.refresh(1 + i);
    console.log(group.time.now(), performance.now() - t);
  }
  expect(group.epochOf(1)).toBe(4);
});
