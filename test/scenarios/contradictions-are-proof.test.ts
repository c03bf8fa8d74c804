/** §4: two signed messages that contradict each other are kept, and whoever has the chain can check them. */
import { expect, test } from 'vitest';
import { blameViews } from '../../src/node/views/blame-views.ts';
import { isProof } from '../../src/protocol/change/contradiction.ts';
import type { Message } from '../../src/protocol/records/change-messages.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fivePeers, forge, linkOf, messageIn } from './support.ts';

const other = new Uint8Array(32).fill(7);

/** p5 says something else besides, in the same slot. */
function saysBoth(group: Group, lie: (message: Message) => Message | null): void {
  group.intercept = ({ from }, frame) => {
    const message = from === 'p5' ? messageIn(frame) : null;
    const second = message?.by === 5 ? lie(message) : null;
    return second === null ? [frame] : [frame, forge(group.state(5), second)];
  };
}

const lies: [string, (message: Message) => Message | null][] = [
  ['two prevotes', (message) => (message.type === 'prevote' ? { ...message, value: other } : null)],
  ['two precommits', (message) => (message.type === 'precommit' ? { ...message, value: other } : null)],
  [
    'two Haves, neither a part of the other',
    (message) => (message.type === 'have' ? { ...message, digests: [other] } : null),
  ],
  ['two Attends', (message) => (message.type === 'attend' ? { ...message, sealingKey: other } : null)],
];

test.each(lies)('%s are proof, which needs only the roster', async (_, lie) => {
  const group = await fivePeers();
  saysBoth(group, lie);
  group.node(1).driver?.refresh();
  await group.until(() => [1, 2, 3, 4].every((peer) => group.epochOf(peer) === 2));
  const blame = [1, 2, 3, 4]
    .flatMap((peer) => Object.values(group.state(peer).durable.blames))
    .find(({ by, kind }) => by === 5 && kind === 'contradiction');
  const { proof } = blame ?? {};
  if (proof === undefined) throw new Error('p5 is not blamed with a proof');

  const { roster } = linkOf(group.state(1), 1).value;
  const [honest, liar] = [roster[3]?.epochKey as Uint8Array, roster[4]?.epochKey as Uint8Array];
  const cluster = group.state(1).clusterId;
  const holds = (pair: readonly [Packet, Packet]) => isProof(cluster, liar, pair);
  expect(holds(proof)).toBe(true);
  const [first, second] = proof;
  expect(holds([first, first])).toBe(false);
  expect(holds([first, { ...second, signature: first.signature }])).toBe(false);
  expect(isProof(other, liar, proof)).toBe(false);
  expect(isProof(cluster, honest, proof)).toBe(false);
});

test('a contradiction is shown with its proof, and is certain by it', async () => {
  const group = await fivePeers();
  saysBoth(group, (message) => (message.type === 'precommit' ? { ...message, value: other } : null));
  await group.refresh();
  const [view] = [1, 2, 3, 4].flatMap((peer) => blameViews(group.state(peer), 2));
  expect(view).toMatchObject({
    member: 'p5',
    kind: 'contradiction',
    evidence: 'own-signatures',
    certain: true,
  });
  expect(view?.proof).toHaveLength(2);
  // Without one it is the word of this peer.
  const { durable, ...state } = group.state(1);
  const blames = { one: { epoch: 2, by: 4, kind: 'contradiction' as const } };
  const [unproven] = blameViews({ ...state, durable: { ...durable, blames } }, 2);
  expect(unproven).toMatchObject({ evidence: 'own-check', certain: false, proof: [] });
});
