/** §4.2, blame: one accusation names two of whom one lies; accusations by more than `faults` members are certain. */
import { expect, test } from 'vitest';
import { type BlameView, blameInWords, blameViews } from '../../src/node/views/blame-views.ts';
import type { Job } from '../../src/protocol/machine/io.ts';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { digestOfDealing } from '../../src/protocol/records/change-messages.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { dealersOf, fivePeers, forge, linkOf, messageIn } from './support.ts';

/** p5 seals something else than its number for these peers. */
function dealsFalselyTo(group: Group, victims: readonly string[]): void {
  group.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (from !== 'p5' || !victims.includes(to) || message?.type !== 'dealing') return [frame];
    const envelopes = message.envelopes.map((envelope) =>
      envelope.map((byte, at) => (at > 50 ? byte ^ 1 : byte)),
    );
    return [forge(group.state(5), { ...message, envelopes })];
  };
}

const blamed = (group: Group, by: number, epoch: number): BlameView[] => blameViews(group.state(by), epoch);

test('two of five find a false sub-share: with faults = 1 that is certain for all, whoever was dealt a true one', async () => {
  const group = await fivePeers();
  dealsFalselyTo(group, ['p1', 'p2']);
  await group.refresh();
  for (const peer of [1, 2, 3, 4]) {
    const [blame, ...others] = blamed(group, peer, 2);
    expect(others).toEqual([]);
    expect(blame).toMatchObject({ member: 'p5', kind: 'false-sub-share', certain: true });
    expect([...(blame?.accusers ?? [])].sort()).toEqual(['p1', 'p2']);
    expect(blame?.evidence).toBe(peer <= 2 ? 'own-check' : 'accusations');
  }
  // They are accusations of its dealing, and make nothing else certain.
  const { durable, ...state } = group.state(3);
  const blames = { ...durable.blames, other: { epoch: 2, by: 5, kind: 'false-sum' as const } };
  expect(blameViews({ ...state, durable: { ...durable, blames } }, 2)).toContainEqual({
    member: 'p5',
    kind: 'false-sum',
    evidence: 'own-check',
    accusers: [],
    certain: false,
    proof: [],
  });
  expect(dealersOf(linkOf(group.state(1), 2))).not.toContain(5);
  expect(blameInWords(blamed(group, 3, 2)[0] as BlameView)).toMatch(
    /^false sub share \(accused by p[12], p[12]: certain\)$/,
  );
});

test('one accusation is shown as the word of one, and blames nobody elsewhere', async () => {
  const group = await fivePeers();
  dealsFalselyTo(group, ['p1']);
  await group.refresh();
  expect(blamed(group, 1, 2)).toMatchObject([{ member: 'p5', evidence: 'own-check', certain: false }]);
  expect(blamed(group, 3, 2)).toMatchObject([
    { member: 'p5', evidence: 'accusations', accusers: ['p1'], certain: false },
  ]);
  expect(group.state(3).durable.blames).toEqual({});
});

test('a liar that accuses everybody makes nothing certain, and one that accuses in another’s name is refused', async () => {
  const group = await fivePeers();
  const { epoch } = headOf(group.state(1));
  const digest = digestOfDealing(new Uint8Array(1));
  const accuse = (by: number, dealer: number) => {
    const frame = forge(group.state(5), { type: 'accuse', by, epoch: epoch + 1, dealer, digest });
    if (frame.type !== 'message') throw new Error('a forged message is one');
    return { type: 'accusation' as const, packet: frame.message.packet };
  };
  let told = false;
  group.intercept = ({ from, to }, frame) => {
    if (told || from !== 'p5' || to !== 'p1') return [frame];
    told = true;
    return [frame, ...[1, 2, 3, 4].map((dealer) => accuse(5, dealer)), accuse(4, 3), accuse(5, 5)];
  };
  await group.refresh();
  expect(blamed(group, 1, epoch + 1).map(({ member, certain }) => [member, certain])).toEqual(
    ['p1', 'p2', 'p3', 'p4'].map((member) => [member, false]),
  );
  const refused = group
    .node(1)
    .outputs.flatMap((output) => (output.type === 'refused' ? [[output.from, output.code]] : []));
  expect(refused).toEqual([
    [group.node(5).peer, 'bad-signature'],
    [group.node(5).peer, 'not-a-member'],
  ]);
  expect(group.state(1).durable.blames).toEqual({});
});

test('a member that was away is told of the accusations of the undecided change', async () => {
  const group = await fivePeers();
  const others = [1, 2, 3, 5].map((index) => group.node(index).peer);
  dealsFalselyTo(group, ['p1', 'p2']);
  group.network.partition([others, [group.node(4).peer]]);
  group.node(1).driver?.refresh();
  await group.until(() => blamed(group, 3, 2).some(({ certain }) => certain));
  group.network.heal();
  await group.until(() => group.settledAt(2));
  expect(blamed(group, 4, 2)).toMatchObject([{ member: 'p5', certain: true }]);
});

test('dealings of a plan that was not decided, still unchecked when another was, blame nobody', async () => {
  const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
  let slow = false;
  const beforeJob = (node: string, { kind }: Job) =>
    slow && node === 'p4' && kind === 'check' ? goesOn : undefined;
  const group = await fivePeers({ threshold: 2, beforeJob });
  group.node(1).driver?.refresh();
  await group.until(() => group.printed(4).lastIndexOf('prevote') > group.printed(4).lastIndexOf('adopt'));
  const [decided = ''] = Object.keys(group.state(4).durable.attended);
  const unchecked = () => Object.values(group.state(4).volatile.inbox).filter(({ plan }) => plan !== decided);

  // p4 is still at its first dealing of the second plan when the first plan is decided, and has got the others before.
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  slow = true;
  await group.order(1, { type: 'raise-threshold', threshold: 3 });
  await group.until(() => unchecked().length > 2);
  group.intercept = null;
  await group.until(() => group.epochOf(4) === 2);
  expect(linkOf(group.state(4), 2).value.threshold).toBe(2);
  goOn();
  await group.until(() => group.settledAt(3));
  expect(linkOf(group.state(4), 3).value.threshold).toBe(3);
  for (const peer of [1, 2, 3, 4, 5])
    for (const epoch of [2, 3]) expect(blamed(group, peer, epoch)).toEqual([]);
});
