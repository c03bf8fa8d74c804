/** §4: a libp2p identity without the epoch key opens connections, and nothing that it says of itself counts. */
import { expect, test } from 'vitest';
import {
  type Frame,
  frameEnvelope,
  hashOfRecalled,
  type Memory,
  memorySchema,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode } from '../../src/protocol/records/codec.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import { step } from '../../src/protocol/step.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fired, fivePeers, messageIn, thirdPutBack } from './support.ts';

type Recalled = Extract<Frame, { type: 'recalled' }>;

/**
 * p3 has prevoted, and starts from a copy of its store made before; what others answer it is `heard`, and
 * arrives nowhere.
 */
async function thirdWentBack(heard: (from: number, frame: Recalled) => void): Promise<Group> {
  const group = await fivePeers();
  await thirdPutBack(group);
  group.intercept = ({ from, to }, frame) => {
    if (messageIn(frame)?.type === 'precommit') return [];
    if (to !== 'p3' || frame.type !== 'recalled') return [frame];
    heard(Number(from.slice(1)), frame);
    return [];
  };
  await group.restart(3);
  return group;
}

const gossip = (group: Group, to: number, from: number, frame: Frame) =>
  group
    .node(to)
    .driver?.dispatch({ type: 'gossip', from: group.node(from).peer, frame: frameEnvelope.encode(frame) });
const direct = (group: Group, to: number, from: number, authenticated: boolean, frame: Frame) =>
  group.node(to).driver?.dispatch({
    type: 'frame',
    from: group.node(from).peer,
    authenticated,
    frame: frameEnvelope.encode(frame),
  });

/** The same answer signed with a key of the thief's own. */
function withoutTheKey({ packet }: Recalled, group: Group): Recalled {
  const memory: Memory = { ...decode(memorySchema, packet.body), packets: hashOfRecalled([]) };
  const own = new Uint8Array(32).fill(3);
  return { type: 'recalled', packet: signPacket(group.state(1).clusterId, own, encode(memory)), packets: [] };
}

const waits = (group: Group): boolean => group.state(3).volatile.recall !== null;
const answered = (group: Group): string[] => Object.keys(group.state(3).volatile.recall?.answered ?? {});

test('two stolen identities cannot end the wait of a member whose store went back, by gossip or directly', async () => {
  const answers = new Map<number, Recalled>();
  const group = await thirdWentBack((from, frame) => answers.set(from, frame));
  await group.until(() => answers.size === 4);
  for (const thief of [4, 5]) {
    const answer = answers.get(thief) as Recalled;
    for (const lie of [withoutTheKey(answer, group), { ...answer, packets: [] }]) {
      await gossip(group, 3, thief, lie);
      await direct(group, 3, thief, false, lie);
      await direct(group, 3, thief, true, lie);
    }
    await gossip(group, 3, thief, answer); // what is true is not taken by gossip either
  }
  expect(answered(group)).toEqual([]);
  await group.run(1_000);
  expect(waits(group)).toBe(true);

  // The true answers say what it had signed.
  for (const [from, frame] of answers) await direct(group, 3, from, true, frame);
  expect(waits(group)).toBe(false);
  expect(fired(group, 3, 'muted', { epoch: 2, missing: 'prevote' })).toBe(true);
  group.intercept = null;
  await group.until(() => group.settledAt(2));
});

test('what was answered in another wait, to another member, or by whoever has no vote, does not end a wait', async () => {
  const first = new Map<number, Recalled>();
  const group = await thirdWentBack((from, frame) => first.set(from, frame));
  await group.until(() => first.size === 4);
  await group.stop(3);
  const second = new Map<number, Recalled>();
  group.intercept = ({ from, to }, frame) => {
    if (messageIn(frame)?.type === 'precommit') return [];
    if (to !== 'p3' || frame.type !== 'recalled') return [frame];
    second.set(Number(from.slice(1)), frame);
    return [];
  };
  await group.restart(3);
  await group.until(() => second.size === 4);
  for (const [from, frame] of first) await direct(group, 3, from, true, frame);
  const changed = (by: number, change: Partial<Memory>): Recalled => {
    const { packet } = second.get(by) as Recalled;
    const memory = { ...decode(memorySchema, packet.body), packets: hashOfRecalled([]), ...change };
    const { clusterId, durable } = group.state(by);
    const [secret] = Object.values(durable.epochSecrets) as [Uint8Array];
    return { type: 'recalled', packet: signPacket(clusterId, secret, encode(memory)), packets: [] };
  };
  for (const by of [1, 2, 4, 5]) {
    await direct(group, 3, by, true, changed(by, { to: 4 }));
    await direct(group, 3, by, true, changed(by, { epoch: 3 }));
    await direct(group, 3, by, true, changed(by, { nonce: new Uint8Array(32) }));
    await direct(group, 3, by, true, changed(by, { by: 3 }));
  }
  expect(answered(group)).toEqual([]);
  expect(waits(group)).toBe(true);
  group.intercept = null;
  await group.until(() => group.settledAt(2));
});

test('a member that signs nothing itself still answers what it holds: two that wait at once end each other’s wait', async () => {
  const group = await fivePeers();
  for (const index of [1, 2, 3, 4]) await group.stop(index);
  for (const index of [1, 2, 3, 4]) await group.restart(index);
  await group.until(() => [1, 2, 3, 4].every((index) => group.state(index).volatile.recall === null));
  await group.refresh(2);
});

const hash = new Uint8Array(32);
const packet = { body: encode({ v: 1, type: 'nothing' }), signature: new Uint8Array(64) };
/** One frame of every kind, wrong in what it says: whoever takes it either changes something or refuses it. */
const kinds: Record<Frame['type'], { frame: Frame; taken: string }> = {
  message: { frame: { type: 'message', message: { packet } }, taken: 'gossip proven' },
  contradiction: { frame: { type: 'contradiction', first: packet, second: packet }, taken: 'gossip proven' },
  accusation: { frame: { type: 'accusation', packet }, taken: 'gossip proven' },
  summary: {
    frame: {
      type: 'summary',
      epoch: 0,
      oldest: 0,
      retired: 0,
      seen: new Uint8Array(),
      wanted: [],
      wallMs: 0,
      holds: null,
      signs: 'yes',
      reply: true,
    },
    taken: 'proven unproven',
  },
  links: { frame: { type: 'links', links: [] }, taken: 'proven unproven' },
  retire: {
    frame: { type: 'retire', proof: { epoch: 0, readys: [], proofs: [] } },
    taken: 'proven unproven',
  },
  publics: { frame: { type: 'publics', publics: [hash] }, taken: 'proven' },
  recovery: { frame: { type: 'recovery', packet, beside: [] }, taken: 'proven' },
  recall: { frame: { type: 'recall', epoch: 2, nonce: hash }, taken: 'proven' },
  recalled: { frame: { type: 'recalled', packet, packets: [] }, taken: 'proven' },
};

test('of what is published only what is signed inside is taken, and before the handshake only what proves itself', async () => {
  const group = await fivePeers({ key: false });
  const before = group.state(1);
  const stamp = { atMs: before.volatile.nowMs, wallMs: before.volatile.wallMs, entropy: new Uint8Array(32) };
  const from = group.node(5).peer;
  for (const [type, { frame, taken }] of Object.entries(kinds)) {
    const bytes = frameEnvelope.encode(frame);
    const outputs = {
      gossip: step(before, { type: 'gossip', from, frame: bytes, ...stamp }),
      proven: step(before, { type: 'frame', from, authenticated: true, frame: bytes, ...stamp }),
      unproven: step(before, { type: 'frame', from, authenticated: false, frame: bytes, ...stamp }),
    };
    for (const [path, { outputs: all, state }] of Object.entries(outputs)) {
      const refused = all.filter((output) => output.type === 'refused').map(({ code }) => code);
      if (taken.split(' ').includes(path)) expect(refused, `${type} ${path}`).not.toContain('not-for-gossip');
      else {
        expect(state.durable, `${type} ${path}`).toEqual(before.durable);
        expect(all.filter((output) => output.type !== 'refused')).toEqual([]);
        expect(refused, `${type} ${path}`).toEqual(path === 'gossip' ? ['not-for-gossip'] : []);
      }
    }
  }
});

test('whoever passes on what another one signed is not reproached for it', async () => {
  const group = await fivePeers();
  group.node(1).driver?.refresh();
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  await group.until(() => fired(group, 1, 'prevote', { epoch: 2 }));
  const { clusterId, durable } = group.state(5);
  const [secret] = Object.values(durable.epochSecrets) as [Uint8Array];
  const have = { v: 1, type: 'have', by: 5, epoch: 2, plan: hash, digests: [hash, hash] };
  const frame: Frame = {
    type: 'message',
    message: { packet: signPacket(clusterId, secret, encode(have)) },
  };
  const actions = (from: number) =>
    group
      .node(1)
      .outputs.flatMap((output) =>
        output.type === 'refused' && output.code === 'bad-have' && output.from === group.node(from).peer
          ? [output.action]
          : [],
      );
  await direct(group, 1, 4, true, frame);
  expect(actions(4)).toEqual(['ignore']);
  await direct(group, 1, 5, true, frame);
  expect(actions(5)).toEqual(['reject']);
});
