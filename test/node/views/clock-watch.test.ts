/** A jump of the machine's clock is noticed by its size and direction, and time that only passes is not. */
import { expect, test } from 'vitest';
import { ClockWatch } from '../../../src/node/views/clock-watch.ts';
import { VirtualTime } from '../../../src/simulation/world/virtual-time.ts';

test('the clock set ahead and back is noticed once each; small steps and time that passes are not', async () => {
  const time = new VirtualTime();
  const steady = time.clock();
  const jumps: number[] = [];
  let setMs = 0;
  const clock = { ...steady, wallMs: () => steady.wallMs() + setMs };
  const watch = new ClockWatch({ clock, onJump: (stepMs) => jumps.push(stepMs) });
  for (const next of [0, 500, 0, 3_600_500, 3_600_500, -10_000]) {
    setMs = next;
    await time.next();
  }
  expect(jumps).toEqual([3_600_500, -3_610_500]);
  watch.stop();
  expect(await time.next()).toBe(false);
});
