/** §4, the rules that make it safe to cut the power: what a peer that starts again within a change may sign. */
import { expect, test } from 'vitest';
import { decode, hex } from '../../src/protocol/codec.ts';
import { type Message, messageSchema } from '../../src/protocol/messages.ts';
import { holdsShare } from '../../src/protocol/queries.ts';
import { slotOf } from '../../src/protocol/say.ts';
import type { Group } from '../support/group.ts';
import { fired, fivePeers, linkOf, messageIn } from './support.ts';
import { Transcript } from './transcript.ts';

/** Everything that a peer signed and published since its output number `from`, in order. */
const saidBy = (
  group: Group,
  node: number,
  from = 0,
): Array<{ at: number; message: Message; body: string }> =>
  group.node(node).outputs.flatMap((output, at) => {
    if (at < from || output.type !== 'publish' || output.frame.type !== 'message') return [];
    const { body } = output.frame.message.packet;
    return [{ at, message: decode(messageSchema, body), body: hex(body) }];
  });

test('a peer that restarts within a change signs nothing until a quorum has told what it had signed', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p3 loses power after its precommit, and starts again');
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'precommit', { epoch: 2 }));
  const before = saidBy(group, 3);
  const outputsBefore = group.node(3).outputs.length;
  for (const index of [3, 4, 5]) await group.stop(index);
  transcript.note('p3, p4 and p5 lose power; what they sent last is lost');
  await group.run(100);
  await group.restart(3);
  transcript.note(
    'p3 starts from what its store holds: two others are not enough to know what it had signed',
  );
  await group.run(1_000);
  expect(fired(group, 3, 'recalled', { epoch: 2 })).toBe(false);
  expect(saidBy(group, 3, outputsBefore)).toEqual([]);
  await group.restart(4);
  await group.restart(5);
  transcript.note('p4 and p5 start');
  await group.until(() => group.settledAt(2));

  const recalledAt = group
    .node(3)
    .outputs.findIndex(
      (output, at) => at >= outputsBefore && output.type === 'rule' && output.rule === 'recalled',
    );
  const after = saidBy(group, 3, outputsBefore);
  expect(recalledAt).toBeGreaterThan(0);
  for (const { at } of after) expect(at).toBeGreaterThan(recalledAt);
  const bodies = new Map<string, string>();
  for (const { message, body } of [...before, ...after]) {
    if (message.type === 'dealing' || message.type === 'have') continue;
    const slot = `${message.epoch}/${slotOf(message).section}/${slotOf(message).key}`;
    expect(bodies.get(slot) ?? body, `two different messages for ${slot}`).toBe(body);
    bodies.set(slot, body);
  }
  transcript.expectGolden('restart');
});

test('a peer whose store went back in time is mute until the next certificate, and then takes part again', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(
    group,
    'p3 prevotes, and is started from a copy of its store made before',
  );
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'have', { epoch: 2, dealings: 5 }));
  const copy = new Map(group.node(3).home.records);
  // Precommits would decide: they are held back until p3 is here again.
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  await group.until(() => fired(group, 3, 'prevote', { epoch: 2 }));
  await group.run(6);
  await group.stop(3);
  group.node(3).home.records.clear();
  for (const [key, value] of copy) group.node(3).home.records.set(key, value);
  const outputsBefore = group.node(3).outputs.length;
  await group.restart(3);
  transcript.note('p3 starts from the old copy');
  await group.until(() => fired(group, 3, 'muted'));
  await group.run(2_000);
  expect(group.epochOf(3)).toBe(1);
  group.intercept = null;
  transcript.note('precommits arrive again');
  await group.until(() => group.epochOf(3) === 2);
  expect(saidBy(group, 3, outputsBefore).filter(({ message }) => message.type !== 'ready')).toEqual([]);
  expect(linkOf(group.state(3), 2).certificate).toMatchObject({
    votes: [{ by: 1 }, { by: 2 }, { by: 4 }, { by: 5 }],
  });
  await group.until(() => group.settledAt(2));
  expect(group.state(3).durable.own.muted).toBeNull();
  expect(holdsShare(group.state(3))).toBe(true);
  transcript.note('the next refresh');
  await group.refresh(3);
  expect(linkOf(group.state(3), 3).value.accepted.map(({ dealer }) => dealer)).toContain(3);
  transcript.expectGolden('store-went-back');
});
