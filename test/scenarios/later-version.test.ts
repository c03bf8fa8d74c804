/** One member runs a later version of Holdfast. The others name that, blame nobody, and go on without it. */
import { decode as decodeCbor } from 'cborg';
import { expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { rsaSignature } from '../../src/keys/rsa/operations.ts';
import { partialAnswers } from '../../src/node/use/partial-messages.ts';
import { headOf, selfIn } from '../../src/protocol/machine/queries.ts';
import { type Frame, hashOfEvidence } from '../../src/protocol/records/change-messages.ts';
import { encode, hex } from '../../src/protocol/records/codec.ts';
import { type Packet, signPacket } from '../../src/protocol/records/packet.ts';
import { type SignBody, signUse, type UseRequest } from '../../src/protocol/records/use-request.ts';
import type { Client, KeyRecord } from '../../src/protocol/records/value.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { fivePeers, forge, messageIn } from './support.ts';

const others = [1, 2, 3, 4];
const random = seededBytes('a later version');
const clientSeed = random(32);
const client: Client = {
  name: 'issuer',
  publicKey: ed25519FromSeed(clientSeed).publicKey,
  rights: [{ key: '*', operations: ['sign'] }],
  ratePerMinute: 0,
};

function signing(group: Group): UseRequest<SignBody> {
  const [key] = headOf(group.state(1)).keys as [KeyRecord];
  const asked = rsaSignature({ scheme: 'pkcs1', hash: 'sha256', digest: random(32) }, random);
  return signUse<SignBody>(clientSeed, {
    ...{ v: 1, operation: 'sign', kind: key.kind, asked, key: key.id, nonce: random(16) },
    ...{ cluster: group.state(1).clusterId, client: client.publicKey },
    expiresAtMs: Math.floor(group.time.clock().wallMs()) + 60_000,
  });
}
const never = (): never => {
  throw new Error('p1 is not running');
};

/** A record as a later version might have it. */
const later = (record: unknown): object => ({ ...(record as object), v: 2, later: [1, { more: true }] });

/** What p5 signs, as a body of a later version, with the epoch key that p5 has now. */
function laterPacket(group: Group, packet: Packet): Packet {
  const state = group.state(5);
  const secret = state.durable.epochSecrets[hex(selfIn(state)?.epochKey ?? new Uint8Array())];
  const body = decodeCbor(packet.body) as { by: number };
  return secret === undefined || body.by !== 5
    ? packet
    : signPacket(state.clusterId, secret, encode(later(body)));
}

/** A frame with every record in it as a later version, at any depth. */
function withLaterRecords(group: Group, data: unknown): unknown {
  if (Array.isArray(data)) return data.map((item) => withLaterRecords(group, item));
  if (typeof data !== 'object' || data === null || data instanceof Uint8Array) return data;
  if ('body' in data && data.body instanceof Uint8Array) return laterPacket(group, data as Packet);
  const inner = Object.fromEntries(
    Object.entries(data).map(([name, field]) => [name, withLaterRecords(group, field)]),
  );
  return 'v' in data ? later(inner) : inner;
}

const speaking: Record<string, (group: Group, frame: Frame) => Uint8Array[]> = {
  'frames of a later version': (_, frame) => [encode(later({ content: frame }))],
  'records of a later version in frames of this one': (group, frame) => [
    encode({ v: 1, content: withLaterRecords(group, frame) }),
  ],
  'evidence of a later version for a proposal of this one': (group, frame) => {
    const message = messageIn(frame);
    if (message?.type !== 'proposal' || message.by !== 5 || frame.type !== 'message')
      return [encode({ v: 1, content: frame })];
    const { evidence } = frame.message;
    if (evidence === undefined) throw new Error('a proposal carries its evidence');
    const shown = { ...evidence, attends: evidence.attends.map((packet) => laterPacket(group, packet)) };
    const lie = forge(group.state(5), { ...message, evidence: hashOfEvidence(shown) }, { evidence: shown });
    return [encode({ v: 1, content: lie })];
  },
  'a value of a later version in a proposal of this one': (group, frame) => {
    const message = messageIn(frame);
    if (message?.type !== 'proposal' || message.by !== 5 || frame.type !== 'message')
      return [encode({ v: 1, content: frame })];
    const { evidence } = frame.message;
    const proposal = { ...message, value: later(message.value) };
    return [encode({ v: 1, content: forge(group.state(5), proposal, evidence && { evidence }) })];
  },
};

test.each(Object.keys(speaking))(
  'a member that sends %s is named, and neither blamed nor reproached',
  async (how) => {
    const group = await fivePeers();
    group.intercept = ({ from, to }, frame) => {
      if (from !== 'p5') return [frame];
      const receiver = others.find((index) => group.node(index).name === to);
      for (const bytes of speaking[how]?.(group, frame) ?? [])
        void group
          .node(receiver ?? 5)
          .driver?.dispatch({ type: 'frame', from: group.node(5).peer, authenticated: true, frame: bytes });
      return [];
    };
    // In five changes each member leads once.
    for (let change = 0; change < 5; change += 1) {
      const next = group.epochOf(1) + 1;
      group.node(1).driver?.refresh();
      await group.until(() => others.every((index) => group.state(index).durable.own.retired >= next));
    }
    for (const index of others) {
      const { outputs, transport } = group.node(index);
      const refused = outputs.flatMap((output) => (output.type === 'refused' ? [output] : []));
      expect(refused.filter(({ action }) => action === 'reject')).toEqual([]);
      expect(refused.some(({ code, from }) => code === 'other-version' && from === group.node(5).peer)).toBe(
        true,
      );
      expect(transport.reproached).toEqual([]);
      expect(group.state(index).durable.blames).toEqual({});
      expect(group.state(index).durable.accusations).toEqual({});
      expect(group.state(index).durable.contradictions).toEqual({});
      const [problem] = group.status(index).problems.filter(({ code }) => code === 'other-version');
      expect(problem?.what).toContain('p5 speaks a later version than this peer');
      expect(problem?.what).toContain('upgrade Holdfast on this machine');
    }
    // When it speaks this version again, it is one of them again, and nobody holds anything against it.
    group.intercept = null;
    await group.stop(5);
    await group.restart(5);
    await group.until(() => group.settledAt(group.epochOf(1)));
    expect(group.status(1).problems.filter(({ code }) => code === 'other-version')).toEqual([]);
  },
);

test('a question of a later version about the use of a key is refused as such, and reproaches nobody', async () => {
  const group = await fivePeers();
  const question = { type: 'partial', epoch: 1, request: signing(group), prove: false };
  for (const bytes of [
    encode(later({ content: question })),
    encode({
      v: 1,
      content: { ...question, request: { ...signing(group), body: later(signing(group).body) } },
    }),
  ]) {
    const answer = await group.outcome(group.node(1).use?.answer(group.node(5).peer, bytes) ?? never());
    expect(partialAnswers.decode(answer)).toMatchObject({ type: 'refused', code: 'other-version' });
  }
  expect(group.node(1).transport.reproached).toEqual([]);
});

test('members that answer in a later version are no liars: the others sign, and else the client is told why', async () => {
  const group = await fivePeers({ clients: [client] });
  const newer = new Set(['p4', 'p5']);
  group.answerUse = ({ to }, bytes, honest) =>
    newer.has(to) ? Promise.resolve(encode(later({ content: 'anything' }))) : honest(bytes);
  for (let time = 0; time < 5; time += 1) {
    const { signers } = await group.outcome(group.node(1).use?.sign(signing(group), 5_000) ?? never());
    expect([...signers].sort()).toEqual(['p1', 'p2', 'p3']);
  }
  expect(group.node(1).use?.penalties()).toEqual([]);
  newer.add('p3');
  const refused = group.outcome(group.node(1).use?.sign(signing(group), 5_000) ?? never());
  await expect(refused).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringContaining('has version 2'),
    details: { p3: 'other-version', p4: 'other-version', p5: 'other-version' },
  });
  expect(group.node(1).use?.penalties()).toEqual([]);
});
