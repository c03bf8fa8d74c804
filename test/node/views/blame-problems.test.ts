/** The alarm for two Attends: what `status` says at the member whose key is in other hands, and at the others. */
import { expect, test } from 'vitest';
import { problemsOf } from '../../../src/node/views/problems.ts';
import type { Problem } from '../../../src/node/views/view.ts';
import { headOf } from '../../../src/protocol/machine/queries.ts';
import type { Group } from '../../../src/simulation/world/group.ts';
import { fivePeers, forge, messageIn } from '../../scenarios/support.ts';

function problemsAt(group: Group, place: number): Problem[] {
  const state = group.state(place);
  const clocks = { nowMs: group.time.now(), wallMs: group.time.clock().wallMs() };
  return problemsOf(state, null, new Set(Object.keys(state.volatile.authenticated)), clocks);
}

test('two Attends are an alarm: the suspended member is told why and what to do, and every other one whom to look at', async () => {
  const group = await fivePeers();
  for (const place of [1, 2, 3, 4, 5]) expect(problemsAt(group, place)).toEqual([]);
  group.intercept = ({ from }, frame) => {
    const message = from === 'p5' ? messageIn(frame) : null;
    if (message?.type !== 'attend' || message.by !== 5) return [frame];
    return [frame, forge(group.state(5), { ...message, sealingKey: new Uint8Array(32).fill(7) })];
  };
  group.node(1).driver?.refresh();
  const places = [1, 2, 3, 4, 5];
  await group.until(() => places.every((place) => group.epochOf(place) === 2));
  await group.until(() => [1, 2, 3, 4].every((place) => group.state(place).durable.own.retired === 2));
  expect(headOf(group.state(1)).suspended.map(({ index }) => index)).toEqual([5]);

  expect(problemsAt(group, 5)).toContainEqual({
    code: 'suspended',
    what: 'This peer signed two different Attends for one plan and is suspended: its key may be in other hands.',
    remedy: 'Let it join with a new home under the name p5, and the operator run: holdfast reinstate p5.',
  });
  for (const place of [1, 2, 3, 4])
    expect(problemsAt(group, place)).toEqual([
      {
        code: 'member-suspended',
        what: 'p5 signed two different Attends for one plan and is suspended: it is dealt nothing, and counts as faulty.',
        remedy:
          "Look at p5's machine. Then reinstate it with a new home (holdfast reinstate p5), or evict it (holdfast evict p5).",
      },
      {
        code: 'contradiction',
        what: 'p5 did wrong in epoch 2: contradiction (its own signatures show it: certain).',
        remedy: "Look at p5's machine; evict it if it was broken into.",
      },
    ]);
});
