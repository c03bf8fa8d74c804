/** §4.3 under a bad leader: the round passes, the next leader's value is decided, and the liar is named. */
import { expect, test } from 'vitest';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import {
  dealersOf,
  fired,
  fivePeers,
  forge,
  linkOf,
  messageIn,
  roundOf,
  smallerProposal,
} from './support.ts';
import { Transcript } from './transcript.ts';

// p2 leads round 0 of the change from epoch 1 to epoch 2: member (1 + 0) mod 5 of the roster.

test('a leader that never proposes costs one round', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p2 takes part in everything but proposes nothing');
  group.intercept = ({ from }, frame) =>
    from === 'p2' && messageIn(frame)?.type === 'proposal' ? [] : [frame];
  // A peer that received nothing has nothing to pass on.
  await group.refresh(1);
  const link = linkOf(group.state(1), 2);
  expect(roundOf(link)).toBe(1);
  expect(dealersOf(link)).toEqual([1, 2, 3, 4, 5]);
  transcript.expectGolden('silent-leader');
});

test('an invalid value finds no vote, whoever proposes it', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p2 proposes a value that counts an order which nobody gave');
  group.intercept = ({ from }, frame) => {
    const message = messageIn(frame);
    if (from !== 'p2' || message?.type !== 'proposal' || frame.type !== 'message') return [frame];
    const { evidence } = frame.message;
    const value = { ...message.value, lastOrder: message.value.lastOrder + 1 };
    return evidence === undefined ? [] : [forge(group.state(2), { ...message, value }, { evidence })];
  };
  await group.refresh(1);
  expect(roundOf(linkOf(group.state(1), 2))).toBe(1);
  expect(headOf(group.state(1)).lastOrder).toBe(1);
  for (const honest of [1, 3, 4, 5])
    expect(fired(group, honest, 'invalid-proposal', { by: 2, round: 0 })).toBe(true);
  transcript.expectGolden('lying-leader');
});

test('two values from one leader are never both certified, and every peer can name it', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(group, 'p2 proposes one value to p1 and p3, another to p4 and p5');
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (from !== 'p2' || message?.type !== 'proposal' || message.round !== 0 || frame.type !== 'message')
      return [frame];
    const { evidence } = frame.message;
    const lie = evidence && forge(group.state(2), smallerProposal(group.state(2), message), { evidence });
    return to === 'p4' || to === 'p5' ? (lie === undefined ? [] : [lie]) : [frame];
  };
  group.node(1).driver?.refresh();
  const honest = [1, 3, 4, 5];
  await group.until(() => honest.every((index) => group.epochOf(index) === 2));
  const values = new Set(honest.map((index) => hex(linkOf(group.state(index), 3 - 1).value.commitments)));
  expect(values.size).toBe(1);
  expect(roundOf(linkOf(group.state(1), 2))).toBe(1);
  for (const index of honest)
    expect(group.state(index).durable.notes[2]?.contradicted, `p${index} names p2`).toEqual([2]);
  transcript.expectGolden('equivocating-leader');
});
