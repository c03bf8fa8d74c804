/**
 * §5.2: a recovering peer that gives each helper of one run another choice gets no sum. From sums of four
 * choices it and one helper, t = 2 of them, could take every honest mask out, and have the key
 * (test/keys/dealing.test.ts does).
 */
import { expect, test } from 'vitest';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { dealingPublicSchema, frameEnvelope } from '../../src/protocol/records/change-messages.ts';
import { decode, encode, fromHex, hex } from '../../src/protocol/records/codec.ts';
import { type Packet, signPacket } from '../../src/protocol/records/packet.ts';
import {
  hashOfRun,
  type Of,
  type RecoveryMessage,
  recoveryMessageSchema,
} from '../../src/protocol/records/recovery-messages.ts';
import { choiceName } from '../../src/protocol/recovery/summing.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';

type Choice = Of<'recover-choice'>;

/**
 * p6 has lost its share, and every helper of its run has dealt its mask and said what it holds; p6 chooses
 * nothing yet.
 */
async function runWithoutChoice(): Promise<Group> {
  const timing = { recoveryHoldMs: 20_000, resendMs: 2_000 };
  const group = await groupWithKey({ peers: 6, threshold: 3, timing });
  await group.stop(6);
  await group.refresh(1);
  await group.restart(6);
  group.intercept = ({ to }, frame) =>
    to === 'p6' && typeOf(frame) === 'recover-held' && heldCount(group) === 4 ? [] : [frame];
  await group.until(() => heldCount(group) === 4);
  await group.until(() =>
    [1, 2, 3, 4, 5].every(
      (index) => Object.keys(group.state(index).volatile.recovery.helping[6]?.masks ?? {}).length === 5,
    ),
  );
  return group;
}

const runOf = (group: Group) => group.state(6).volatile.recovery.asking?.run ?? null;
const heldCount = (group: Group): number => Object.keys(runOf(group)?.held ?? {}).length;
const typeOf = (frame: object): string | null =>
  'packet' in frame && 'beside' in frame
    ? decode(recoveryMessageSchema, (frame.packet as Packet).body).type
    : null;

/** Signed with the real epoch key of a member that is broken into. */
function signAs(group: Group, index: number, body: object): Packet {
  const state = group.state(index);
  const self = headOf(state).roster.find((member) => member.index === index);
  const secret = self && state.durable.epochSecrets[hex(self.epochKey)];
  if (secret === undefined) throw new Error(`p${index} has no epoch key`);
  return signPacket(state.clusterId, secret, encode(body));
}

function choiceOf(group: Group, helpers: readonly number[]): Choice {
  const run = runOf(group);
  if (run === null) throw new Error('p6 has a run');
  const digestOf = new Map(Object.entries(run.publics).map(([digest, { dealer }]) => [dealer, digest]));
  return {
    v: 1,
    type: 'recover-choice',
    by: 6,
    epoch: headOf(group.state(6)).epoch,
    run: run.run,
    helpers: helpers.map((index) => ({ index, digest: fromHex(digestOf.get(index) as string) })),
  };
}

/** p6 sends a helper a choice, with whatever it has of accepts; what the helper then sends to p6. */
async function tell(group: Group, to: number, choice: RecoveryMessage, beside: Packet[] = []) {
  const { outputs, driver } = group.node(to);
  const before = outputs.length;
  const frame = frameEnvelope.encode({ type: 'recovery', packet: signAs(group, 6, choice), beside });
  await driver?.dispatch({ type: 'frame', from: 'peer-0006', authenticated: true, frame });
  await group.run(20);
  const since = outputs.slice(before);
  return {
    refused: since.flatMap((output) => (output.type === 'refused' ? [output.why] : [])),
    packets: since.flatMap((output) =>
      output.type === 'send' && output.to === 'peer-0006' && output.frame.type === 'recovery'
        ? [output.frame.packet]
        : [],
    ),
  };
}
const types = ({ packets }: { packets: Packet[] }): string[] =>
  packets.map(({ body }) => decode(recoveryMessageSchema, body).type);

/** The accept of a thief's own member: it may say it of every choice. */
const acceptAs = (group: Group, by: number, choice: Choice): Packet =>
  signAs(group, by, {
    v: 1,
    type: 'recover-accept',
    by,
    epoch: choice.epoch,
    run: choice.run,
    choice: choiceName(choice),
  });

test('helpers that are given different choices in one run give no sum, and the next run gives the share', async () => {
  const group = await runWithoutChoice();
  const choices = new Map(
    [
      [1, [1, 2, 5]],
      [2, [1, 2, 3]],
      [3, [3, 4, 5]],
      [4, [1, 2, 4]],
    ].map(([to, helpers]) => [to as number, choiceOf(group, helpers as number[])]),
  );
  const accepts: Packet[] = [];
  for (const [to, choice] of choices) {
    const answer = await tell(group, to, choice);
    expect(types(answer)).toEqual(['recover-accept']);
    accepts.push(...answer.packets);
  }
  // What it has of accepts, its own helper's among them, never fits the choice that each was given.
  for (const [to, choice] of choices) {
    const own = accepts[to - 1] as Packet;
    const others = [...accepts.filter((packet) => packet !== own), acceptAs(group, 5, choice)];
    for (const beside of [[own], [own, acceptAs(group, 5, choice)], [own, ...others], accepts]) {
      const { refused, packets } = await tell(group, to, choice, beside);
      expect(packets).toEqual([]);
      expect(refused).toHaveLength(1);
    }
  }
  // A helper accepts one choice in a run.
  expect(await tell(group, 1, choiceOf(group, [1, 3, 5]))).toEqual({ refused: [], packets: [] });

  group.intercept = null;
  await group.until(() => holdsShare(group.state(6)));
  expect(group.printed(6).filter((rule) => rule === 'recover-run')).toHaveLength(2);
  await group.stopAll();
});

test('a sum follows the accepts of all chosen helpers for this choice of this run, and nothing else', async () => {
  const group = await runWithoutChoice();
  const choice = choiceOf(group, [1, 2, 5]);
  const [one, two] = [await tell(group, 1, choice), await tell(group, 2, choice)].map(
    ({ packets }) => packets[0] as Packet,
  ) as [Packet, Packet];
  const five = acceptAs(group, 5, choice);
  const ofOtherRun = acceptAs(group, 5, { ...choice, run: new Uint8Array(32) });
  const ofOtherEpoch = acceptAs(group, 5, { ...choice, epoch: choice.epoch - 1 });
  const forged = { ...two, signature: five.signature };
  for (const beside of [
    [one],
    [one, two],
    [one, two, two],
    [one, two, five, five],
    [one, forged, five],
    [one, two, ofOtherRun],
    [one, two, ofOtherEpoch],
    [one, two, acceptAs(group, 5, choiceOf(group, [1, 3, 5]))],
    [one, two, signAs(group, 6, choice)],
  ]) {
    const { refused, packets } = await tell(group, 1, choice, beside);
    expect(packets).toEqual([]);
    expect(refused).toHaveLength(1);
  }
  const given = await tell(group, 1, choice, [one, two, five]);
  expect(types(given)).toEqual(['recover-sum']);
  // Asked again, it gives the same bytes.
  expect((await tell(group, 1, choice, [one, two, five])).packets).toEqual(given.packets);
  await group.stopAll();
});

test('a grant serves one run: for a second one, although it is named truly, its helper deals no mask', async () => {
  const group = await runWithoutChoice();
  const asking = group.state(6).volatile.recovery.asking;
  if (asking?.run == null) throw new Error('p6 has a run');
  await group.run(2_100); // runs are limited in rate
  const first = decode(recoveryMessageSchema, asking.run.packet.body) as Of<'recover-run'>;
  const { run: _, ...named } = { ...first, sealingKey: sealingKeyFromSeed(group.random(32)).publicKey };
  const second = { ...named, run: hashOfRun(encode(named)) };
  const grants = Object.values(asking.grants).map(({ packet }) => packet);
  for (const to of [1, 2, 3, 4, 5]) {
    expect(types(await tell(group, to, second, grants))).not.toContain('recover-mask');
    expect(hex(group.state(to).volatile.recovery.helping[6]?.run ?? second.run)).toBe(hex(first.run));
    expect(group.printed(to).filter((rule) => rule === 'recover-mask')).toHaveLength(1);
  }
  await group.stopAll();
});

test('every run has masks of its own: no helper deals a polynomial twice, nor takes a mask of the run before', async () => {
  const group = await runWithoutChoice();
  // Nothing more of the first run reaches p6: it gives it up, and begins another with those that it has heard of.
  const first = runOf(group)?.run;
  if (first === undefined) throw new Error('p6 has a run');
  const isFirst = (frame: object): boolean => {
    const packet = typeOf(frame) === null ? null : (frame as { packet: Packet }).packet;
    const message = packet && decode(recoveryMessageSchema, packet.body);
    return message != null && 'run' in message && hex(message.run) === hex(first);
  };
  group.intercept = ({ to }, frame) => (to === 'p6' && isFirst(frame) ? [] : [frame]);
  const helpersIn = (run: Uint8Array) =>
    [1, 2, 3, 4, 5].flatMap((index) => {
      const helping = group.state(index).volatile.recovery.helping[6];
      return helping != null && hex(helping.run) === hex(run) ? [helping] : [];
    });
  const before = helpersIn(first);
  await group.until(() => holdsShare(group.state(6)));
  // Whoever p6 has not heard of in the first run is no helper of the next.
  const next = [1, 2, 3, 4, 5]
    .flatMap((index) => group.state(index).volatile.recovery.helping[6]?.run ?? [])
    .find((run) => hex(run) !== hex(first));
  if (next === undefined) throw new Error('nobody has helped again');
  const after = helpersIn(next);
  const commitmentsOf = ({ own }: (typeof before)[number]) =>
    decode(dealingPublicSchema, own?.public as Uint8Array).parts.flatMap(({ commitments }) =>
      commitments.map(hex),
    );
  const all = [...before, ...after].flatMap(commitmentsOf);
  // Two commitments each, of five helpers and of those of them that help again.
  expect(before).toHaveLength(5);
  expect(after.length).toBeGreaterThanOrEqual(3);
  expect(all).toHaveLength(2 * (before.length + after.length));
  expect(new Set(all).size).toBe(all.length);
  const digests = new Set(after.map(({ own }) => hex(own?.digest as Uint8Array)));
  for (const { masks } of after)
    for (const { digest } of Object.values(masks)) expect(digests).toContain(digest);
  await group.stopAll();
});
