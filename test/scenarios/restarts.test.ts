/** §4, the rules that make it safe to cut the power: what a peer that starts again within a change may sign. */
import { expect, test } from 'vitest';
import { holdsShare } from '../../src/protocol/machine/queries.ts';
import type { PrintedName } from '../../src/protocol/machine/rule-names.ts';
import { slotOf } from '../../src/protocol/machine/slots.ts';
import {
  type Frame,
  frameEnvelope,
  hashOfRecalled,
  type Memory,
  type Message,
  memorySchema,
  messageSchema,
} from '../../src/protocol/records/change-messages.ts';
import { decode, hex } from '../../src/protocol/records/codec.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fired, fivePeers, forge, linkOf, messageIn, thirdPutBack } from './support.ts';
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
  await thirdPutBack(group);
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

/** What a member can answer under its own epoch key instead of `frame`. */
function recalledBy(
  group: Group,
  signer: number,
  frame: Extract<Frame, { type: 'recalled' }>,
  change: Partial<Memory>,
  packets: Packet[] = [],
): Frame {
  const said = forge(group.state(signer), { ...decode(memorySchema, frame.packet.body), ...change });
  if (said.type !== 'message') throw new Error('a forged message is a message');
  return { type: 'recalled', packet: said.message.packet, packets };
}

/** All precommits are held back, so that nothing is decided. */
const undecided = (group: Group) => {
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
};

test('a liar that answers a peer which starts again by votes that it signed in its name does not silence it', async () => {
  const group = await fivePeers();
  undecided(group);
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'prevote', { epoch: 2 }));
  await group.run(20);
  await group.stop(3);
  let told = 0;
  group.intercept = ({ from, to }, frame) => {
    if (messageIn(frame)?.type === 'precommit') return [];
    if (to !== 'p3' || frame.type !== 'recalled') return [frame];
    if (from === 'p1') return []; // so that the liar's answer is needed
    if (from !== 'p5') return [frame];
    const vote = { by: 3, epoch: 2, round: 0, instance: null, value: new Uint8Array(32) };
    const lies = [
      forge(group.state(5), { type: 'prevote', ...vote }),
      forge(group.state(5), { type: 'precommit', ...vote }),
    ];
    told += 1;
    const packets = lies.flatMap((lie) => (lie.type === 'message' ? [lie.message.packet] : []));
    return [recalledBy(group, 5, frame, { packets: hashOfRecalled(packets) }, packets)];
  };
  const outputsBefore = group.node(3).outputs.length;
  await group.restart(3);
  await group.until(() => told > 0 && group.printed(3).filter((rule) => rule === 'recalled').length > 1);
  group.intercept = null;
  await group.until(() => group.settledAt(2));
  expect(fired(group, 3, 'muted')).toBe(false);
  expect(saidBy(group, 3, outputsBefore).map(({ message }) => message.type)).toContain('ready');
});

test('a peer whose lost vote comes back only after a quorum has answered is mute from then on until the next certificate', async () => {
  const group = await fivePeers();
  // p3's prevote reaches p4 alone, and p4 passes it on to nobody.
  const isLost = (message: Message | null) => message?.type === 'prevote' && message.by === 3;
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (message?.type === 'precommit') return [];
    return isLost(message) && !(from === 'p3' && to === 'p4') ? [] : [frame];
  };
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'have', { epoch: 2, dealings: 5 }));
  const copy = new Map(group.node(3).home.records);
  await group.until(() => group.state(4).durable.votes['prevote/0/3'] !== undefined);
  await group.stop(3);
  group.node(3).home.records.clear();
  for (const [key, value] of copy) group.node(3).home.records.set(key, value);

  // It starts from the copy, p4's answer is lost, and it hears of no proposal: it has not voted again.
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (message?.type === 'precommit' || isLost(message)) return [];
    if (to === 'p3' && message?.type === 'proposal') return [];
    return from === 'p4' && to === 'p3' && frame.type === 'recalled' ? [] : [frame];
  };
  const outputsBefore = group.node(3).outputs.length;
  const since = (rule: PrintedName) =>
    group
      .node(3)
      .outputs.slice(outputsBefore)
      .some((output) => output.type === 'rule' && output.rule === rule);
  await group.restart(3);
  await group.until(() => since('recalled'));
  expect(since('muted')).toBe(false);
  expect(saidBy(group, 3, outputsBefore)).toEqual([]);

  const vote = group.state(4).durable.votes['prevote/0/3'];
  if (vote === undefined) throw new Error('p4 holds the vote');
  await group.node(3).driver?.dispatch({
    ...{ type: 'frame', from: group.node(4).peer, authenticated: true },
    frame: frameEnvelope.encode({ type: 'message', message: vote.carried }),
  });
  expect(since('muted')).toBe(true);
  await group.run(5_000);
  expect(saidBy(group, 3, outputsBefore)).toEqual([]);
  group.intercept = null;
  await group.until(() => group.settledAt(2));
  expect(group.state(3).durable.own.muted).toBeNull();
  expect(saidBy(group, 3, outputsBefore).map(({ message }) => message.type)).toEqual(['ready']);
  await group.refresh(3);
  expect(linkOf(group.state(3), 3).value.accepted.map(({ dealer }) => dealer)).toContain(3);
});
