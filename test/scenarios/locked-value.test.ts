/**
 * The lock of §4.3 (Buchman, Kwon, Milosevic 2018): what may have been decided in one round is decided in a
 * later one.
 */

import { expect, test } from 'vitest';
import { judge } from '../../src/protocol/change/validity.ts';
import type { Entry } from '../../src/protocol/machine/durable-state.ts';
import {
  type Evidence,
  type Frame,
  frameEnvelope,
  type Proposal,
} from '../../src/protocol/records/change-messages.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import { hashOfValue, type Value } from '../../src/protocol/records/value.ts';
import { signedAs } from '../../src/simulation/lies/forging.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fired, fivePeers, forge, linkOf, messageIn, roundOf, smallerProposal } from './support.ts';
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

/** A prevote of round 0 in the name of `by`, under the epoch key of `signer`. */
function prevoteBy(group: Group, signer: number, by: number, value: Value): Packet {
  const vote = { type: 'prevote', by, epoch: value.epoch, round: 0, instance: null };
  const packet = signedAs(group.state(signer), { ...vote, value: hashOfValue(value) });
  if (packet === null) throw new Error(`p${signer} holds its epoch key`);
  return packet;
}

const shows: Record<string, (group: Group, value: Value) => Packet[]> = {
  'its own prevote': (group, value) => [prevoteBy(group, 3, 3, value)],
  'prevotes that it signed for others': (group, value) =>
    [1, 2, 3, 4, 5].map((by) => prevoteBy(group, 3, by, value)),
  'its own prevote many times': (group, value) => [1, 2, 3, 4].map(() => prevoteBy(group, 3, 3, value)),
};

test.each(Object.entries(shows))(
  'a leader that claims an earlier round for another value by %s gets no vote of a member that is locked',
  async (_, show) => {
    const group = await fivePeers();
    // Round 0: p5 misses the value A, and p3 prevotes it but precommits nil: p1, p2 and p4 lock A, and it is
    // not decided.
    group.intercept = ({ from, to }, frame) => {
      const message = messageIn(frame);
      if (from === 'p3') return message?.type === 'precommit' || frame.type === 'links' ? [] : [frame];
      return to === 'p5' && message?.type === 'proposal' && message.round === 0 ? [] : [frame];
    };
    group.node(1).driver?.refresh();
    await group.until(() => fired(group, 3, 'prevote', { epoch: 2, round: 0 }));
    const liar = group.state(3);
    const { message, carried } = liar.durable.proposals[0] as Entry<Proposal>;
    const { value: b, ...proposal } = smallerProposal(liar, message);
    const precommit = { type: 'precommit', by: 3, epoch: 2, round: 0, instance: null, value: null };
    const nil = forge(liar, precommit);
    // p3 leads round 1: it claims that its value B had a quorum of prevotes in round 0.
    const evidence = { ...(carried.evidence as Evidence), prevotes: show(group, b) };
    const lie = forge(liar, { ...proposal, by: 3, round: 1, validRound: 0, value: b }, { evidence });
    const tell = async (frame: Frame) => {
      for (const peer of [1, 2, 4, 5])
        await group.node(peer).driver?.dispatch({
          ...{ type: 'frame', from: 'peer-0003', authenticated: true },
          frame: frameEnvelope.encode(frame),
        });
    };
    await group.run(10);
    await group.stop(3);
    await tell(nil);
    const locked = [1, 2, 4];
    await group.until(() => locked.every((peer) => fired(group, peer, 'enter-round', { round: 1 })));
    await tell(lie);
    await group.until(() => locked.every((peer) => fired(group, peer, 'prevote', { epoch: 2, round: 1 })));
    const a = group.state(1).durable.own.rounds?.locked;
    if (a == null) throw new Error('p1 is locked');
    expect(a.value).not.toBe(hex(hashOfValue(b)));
    for (const peer of locked) {
      const { own, proposals, votes } = group.state(peer).durable;
      expect(own.rounds?.locked).toEqual({ round: 0, value: a.value });
      // Nothing else is wrong with B: it is refuted by prevotes that are none, or held, and gets nil when
      // patience ends.
      const held = proposals[1]?.message.value;
      const refuted = fired(group, peer, 'invalid-proposal', { epoch: 2, round: 1, by: 3 });
      expect(held === undefined ? null : hex(hashOfValue(held))).toBe(refuted ? null : hex(hashOfValue(b)));
      expect(judge(group.state(peer), b, evidence).verdict).toBe('valid');
      expect(votes[`prevote/1/${peer}`]?.message.value).toBeNull();
    }
    await group.until(() => group.settledAt(2));
    expect(hex(hashOfValue(linkOf(group.state(1), 2).value))).toBe(a.value);
    expect(roundOf(linkOf(group.state(1), 2))).toBe(2);
  },
);
