/** The lock of §4.3 (Buchman, Kwon, Milosevic 2018): what may have been decided in one round is decided in a later one. */
import { expect, test } from 'vitest';
import { hex } from '../../src/protocol/codec.ts';
import { hashOfValue } from '../../src/protocol/value.ts';
import { fired, fivePeers, forge, linkOf, messageIn, roundOf } from './support.ts';
import { Transcript } from './transcript.ts';

test('a locked value is proposed again with its prevotes and decided, although a liar voted both ways', async () => {
  const group = await fivePeers();
  const transcript = new Transcript(
    group,
    'p5 misses round 0’s proposal, and p1 tells p4 and p5 that it prevoted nil: only p1, p2 and p3 lock',
  );
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (message === null) return [frame];
    if (to === 'p5' && message.type === 'proposal' && message.round === 0) return [];
    const told = message.type === 'prevote' && message.round === 0 && message.by === 1;
    if (!told || (to !== 'p4' && to !== 'p5')) return [frame];
    return from === 'p1' ? [forge(group.state(1), { ...message, value: null })] : [];
  };
  group.node(1).driver?.refresh();
  await group.until(() => fired(group, 3, 'enter-round', { round: 1 }));
  const locked = group.state(3).durable.own.rounds?.locked;
  expect(locked?.round).toBe(0);
  expect(group.state(4).durable.own.rounds?.locked).toBeNull();
  await group.until(() => group.settledAt(2));

  const link = linkOf(group.state(4), 2);
  expect(hex(hashOfValue(link.value))).toBe(locked?.value);
  expect(roundOf(link)).toBe(1);
  expect(fired(group, 3, 'propose-again', { round: 1, validRound: 0 })).toBe(true);
  expect(group.state(4).durable.notes[2]?.contradicted).toEqual([]);
  transcript.expectGolden('locked-value');
});
