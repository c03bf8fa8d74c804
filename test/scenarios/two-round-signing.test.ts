/**
 * Signing in two rounds, over a simulated group with a key that its members created together. The toy kind
 * signs as FROST does (Komlo, Goldberg 2020), so whatever is shown here of sessions, liars and coordinators
 * is no matter of one curve.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { kindNamed, learnKind } from '../../src/keys/kinds.ts';
import { rsaSignature } from '../../src/keys/rsa/operations.ts';
import type { SignAnswer } from '../../src/node/use/answers.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswers,
  partialRequests,
} from '../../src/node/use/partial-messages.ts';
import type { PeerPenalty } from '../../src/node/use/peer-penalties.ts';
import { headOf } from '../../src/protocol/machine/queries.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { type SignBody, signUse, type UseRequest } from '../../src/protocol/records/use-request.ts';
import type { Client, KeyRecord } from '../../src/protocol/records/value.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import type { GroupOptions } from '../../src/simulation/world/group-options.ts';
import { toy } from '../../src/simulation/world/toy-kind.ts';
import { seededBytes, settled } from '../../src/simulation/world/virtual-time.ts';
import { fivePeers } from './support.ts';

beforeAll(() => learnKind(toy));

const random = seededBytes('signing in two rounds');
const clientSeed = random(32);
const client: Client = {
  name: 'operator',
  publicKey: ed25519FromSeed(clientSeed).publicKey,
  rights: [{ key: '*', operations: ['sign'] }],
  ratePerMinute: 0,
};

/** Five peers with an RSA key and one that they created together. Any three sign. */
async function withJointKey(options: Partial<GroupOptions> = {}): Promise<Group> {
  const group = await fivePeers({ clients: [client], ...options });
  const next = group.epochOf(1) + 1;
  await group.order(1, { type: 'create-key-jointly', name: 'joint', kind: 'toy', use: 'sign' });
  await group.until(() => group.settledAt(next), 120_000, 'the creation of the key');
  return group;
}

const keyOf = (group: Group, name = 'joint', place = 1): KeyRecord =>
  headOf(group.state(place)).keys.find((key) => key.name === name) as KeyRecord;

function requestFor(group: Group, name = 'joint', place = 1): UseRequest<SignBody> {
  const key = keyOf(group, name, place);
  const asked =
    key.kind === 'toy'
      ? { message: random(40) }
      : rsaSignature({ scheme: 'pkcs1', hash: 'sha256', digest: random(32) }, random);
  return signUse<SignBody>(clientSeed, {
    v: 1,
    ...{ operation: 'sign', kind: key.kind, asked, key: key.id, nonce: random(16) },
    ...{ cluster: group.state(place).clusterId, client: client.publicKey },
    expiresAtMs: Math.floor(group.time.clock().wallMs()) + 60_000,
  });
}

/** What a peer answers the client, or the error that it gives. */
async function asked(
  group: Group,
  by: number,
  request: UseRequest<SignBody>,
  timeoutMs = 8000,
): Promise<SignAnswer | Error> {
  let outcome: SignAnswer | Error | undefined;
  const { use } = group.node(by);
  if (use === null) throw new Error(`p${by} is not running`);
  void use.sign(request, timeoutMs).then(
    (answer) => {
      outcome = answer;
    },
    (error) => {
      outcome = error;
    },
  );
  await group.until(() => outcome !== undefined, 60_000, 'the end of the request');
  return outcome as SignAnswer | Error;
}

/** Signs by one peer. The signature is checked as a client checks it, under the key of the first epoch. */
async function signed(group: Group, by = 1, key = keyOf(group, 'joint', by)): Promise<SignAnswer> {
  const request = requestFor(group, key.name, by);
  const answer = await asked(group, by, request);
  if (answer instanceof Error) throw answer;
  const operation = kindNamed(key.kind).operations.sign;
  const verified = { publicBytes: key.public, asked: request.body.asked, result: answer.signature };
  expect(operation?.verify(verified)).toBe(true);
  expect(operation?.verify({ ...verified, asked: requestFor(group, key.name, by).body.asked })).toBe(false);
  expect(new Set(answer.signers).size).toBe(headOf(group.state(by)).threshold);
  return answer;
}

const penalized = (group: Group, by: number, fault: PeerPenalty['fault']): string[] =>
  (group.node(by).use?.penalties() ?? [])
    .filter((penalty) => penalty.fault === fault)
    .map(({ peer }) => group.nodes.find((node) => node.peer === peer)?.name ?? peer)
    .sort();

/** What a member says instead of its answer; null: nothing, ever. */
type Lie = (honest: PartialAnswer, question: PartialRequest) => PartialAnswer | Uint8Array | null;
function lies(group: Group, by: Record<string, Lie>): void {
  group.answerUse = async ({ to }, bytes, honest) => {
    const answer = await honest(bytes);
    const lie = by[to];
    if (lie === undefined) return answer;
    const said = lie(partialAnswers.decode(answer), partialRequests.decode(bytes));
    if (said === null) return new Promise<Uint8Array>(() => {});
    return said instanceof Uint8Array ? said : partialAnswers.encode(said);
  };
}
const falsePartial: Lie = (honest) =>
  honest.type === 'partial' ? { ...honest, partial: new Uint8Array(honest.partial.length).fill(1) } : honest;
/** How long a member takes to answer a question. */
type Slow = (question: PartialRequest) => number;
function slow(group: Group, by: Record<string, Slow | number>): void {
  const inner = group.answerUse;
  group.answerUse = async (link, bytes, honest) => {
    const takes = by[link.to] ?? 0;
    const ms = typeof takes === 'number' ? takes : takes(partialRequests.decode(bytes));
    if (ms > 0) await group.time.pause(ms);
    return inner(link, bytes, honest);
  };
}
/** What a member says instead of its partial. */
const insteadOfPartial =
  (said: PartialAnswer): Lie =>
  (honest, { type }) =>
    type === 'response' ? said : honest;

/** How many milliseconds of virtual time a signature takes. */
async function timed(group: Group): Promise<number> {
  const fromMs = group.time.now();
  await signed(group);
  return group.time.now() - fromMs;
}
const silentIn =
  (round: PartialRequest['type']): Lie =>
  (honest, { type }) =>
    type === round ? null : honest;

describe('a key that signs in two rounds', () => {
  test('signs under one public key from its first epoch on: refreshed, with members down, raised, and evicted', async () => {
    const group = await withJointKey();
    const key = keyOf(group);
    for (const by of [1, 3, 5]) await signed(group, by, key);
    for (let round = 0; round < 4; round += 1) {
      await group.refresh(1 + round);
      await signed(group, 5 - round, key);
    }
    await group.stop(2);
    await group.stop(4);
    expect((await signed(group, 1, key)).signers.toSorted()).toEqual(['p1', 'p3', 'p5']);
    await group.restart(2);
    await group.restart(4);
    await group.until(() => group.settledAt(group.epochOf(1)));

    await group.order(1, { type: 'raise-threshold', threshold: 4 });
    await group.until(() => headOf(group.state(1)).threshold === 4 && group.settledAt(group.epochOf(1)));
    expect((await signed(group, 2, key)).signers).toHaveLength(4);
    await group.evict(1, 5);
    await group.stop(5);
    await group.until(() => group.settledAt(group.epochOf(1)));
    expect((await signed(group, 4, key)).signers.toSorted()).toEqual(['p1', 'p2', 'p3', 'p4']);
    // The key of the other kind stands beside it.
    await signed(group, 3, keyOf(group, 'key'));
  });

  test('is not for a client whose right names schemes of another kind', async () => {
    const rights: Client['rights'] = [{ key: '*', operations: ['sign'], schemes: ['pkcs1'] }];
    const group = await withJointKey({ clients: [{ ...client, rights }] });
    expect(await asked(group, 1, requestFor(group))).toMatchObject({ details: { code: 'wrong-scheme' } });
    await signed(group, 1, keyOf(group, 'key'));
  });

  test('signs while the group changes its epoch', async () => {
    const group = await withJointKey();
    const next = group.epochOf(1) + 1;
    const epochs = new Set<number>();
    group.node(2).driver?.refresh();
    while (!group.settledAt(next)) epochs.add((await signed(group, 3)).epoch);
    epochs.add((await signed(group, 3)).epoch);
    expect([...epochs].sort()).toEqual([next - 1, next]);
  });

  test('is used by a member that recovered its share', async () => {
    const group = await withJointKey();
    await group.stop(5);
    await group.refresh(1);
    await group.restart(5);
    await group.until(() => group.settledAt(group.epochOf(1)), 60_000, 'the recovery');
    await group.stop(1);
    await group.stop(2);
    expect((await signed(group, 5)).signers.toSorted()).toEqual(['p3', 'p4', 'p5']);
  });

  test('gives a request that is repeated the same signature, and draws no nonces for it', async () => {
    const group = await withJointKey();
    const request = requestFor(group);
    const first = await asked(group, 1, request);
    const questions: string[] = [];
    group.answerUse = (_, bytes, honest) => {
      questions.push(partialRequests.decode(bytes).type);
      return honest(bytes);
    };
    expect(await asked(group, 1, request)).toEqual(first);
    expect(questions).toEqual([]);
    // Another member knows nothing of it: the client that lost its coordinator gets a signature from fresh
    // nonces.
    await group.stop(1);
    const second = await asked(group, 2, request);
    expect(second).not.toBeInstanceOf(Error);
    expect((second as SignAnswer).signature).not.toEqual((first as SignAnswer).signature);
  });
});

describe('signing in two rounds beside members that', () => {
  test('are silent in the first round takes the others, in less than a second', async () => {
    const group = await withJointKey();
    lies(group, { p2: silentIn('nonces'), p3: silentIn('nonces') });
    const beganMs = group.time.clock().nowMs();
    for (let use = 0; use < 5; use += 1)
      expect((await signed(group)).signers.toSorted()).toEqual(['p1', 'p4', 'p5']);
    expect(group.time.clock().nowMs() - beganMs).toBeLessThan(5 * 1000);
  });

  test('commit and are silent in the second round takes the others, with fresh nonces', async () => {
    const group = await withJointKey();
    lies(group, { p2: silentIn('response'), p3: silentIn('response') });
    for (let use = 0; use < 5; use += 1)
      expect((await signed(group)).signers.toSorted()).toEqual(['p1', 'p4', 'p5']);
    expect(penalized(group, 1, 'silent')).toEqual(['p2', 'p3']);
  });

  test('die between the rounds takes the others', async () => {
    const group = await withJointKey();
    let isDead = false;
    group.answerUse = async ({ to }, bytes, honest) => {
      if (to !== 'p2') return honest(bytes);
      if (isDead || partialRequests.decode(bytes).type === 'response') {
        isDead = true;
        throw new Error('the stream was reset');
      }
      return honest(bytes);
    };
    for (let use = 0; use < 4; use += 1) expect((await signed(group)).signers).not.toContain('p2');
  });

  test.each<[string, Lie]>([
    ['a false partial', falsePartial],
    [
      'a partial of no length',
      (honest) => (honest.type === 'partial' ? { ...honest, partial: new Uint8Array() } : honest),
    ],
    [
      'a partial of another length',
      (honest) => (honest.type === 'partial' ? { ...honest, partial: new Uint8Array(64).fill(255) } : honest),
    ],
    [
      'a commitment that is none',
      (honest) =>
        honest.type === 'nonce-commitment' ? { ...honest, commitment: new Uint8Array(64) } : honest,
    ],
    [
      'a commitment to nothing',
      (honest) => (honest.type === 'nonce-commitment' ? { ...honest, commitment: new Uint8Array() } : honest),
    ],
    ['an answer to another question', () => ({ type: 'done' })],
    ['an answer that is none', () => new Uint8Array([255])],
  ])('give %s takes the others, and names them', async (_, lie) => {
    const group = await withJointKey();
    lies(group, { p2: lie, p4: lie });
    for (let use = 0; use < 5; use += 1)
      expect((await signed(group)).signers.toSorted()).toEqual(['p1', 'p3', 'p5']);
    expect(penalized(group, 1, 'lied')).toEqual(['p2', 'p4']);
  });

  test('repeat an old commitment hold up one signature, are asked last then, and get nobody else blamed', async () => {
    const group = await withJointKey();
    let old: PartialAnswer | undefined;
    lies(group, {
      p2(honest) {
        if (honest.type !== 'nonce-commitment') return honest;
        old ??= honest;
        return old;
      },
    });
    // The first time it is true.
    await signed(group);
    for (let use = 0; use < 5; use += 1) expect((await signed(group)).signers).not.toContain('p2');
    expect(penalized(group, 1, 'silent')).toEqual(['p2']);
    expect(penalized(group, 1, 'lied')).toEqual([]);
    expect(penalized(group, 1, 'suspected')).toEqual([]);
  });

  test('are too many gives no signature, and says who gave what', async () => {
    const group = await withJointKey();
    lies(group, { p2: falsePartial, p3: silentIn('response'), p4: silentIn('nonces') });
    const failed = await asked(group, 1, requestFor(group), 4000);
    expect(failed).toMatchObject({ code: 'not-enough-peers', details: { p2: 'lied' } });
    // And none when they are gone again is lost.
    lies(group, {});
    await signed(group);
  });
});

describe('signing in two rounds goes on', () => {
  test('beside one silent member where answers are slow: a try takes members that owe nothing', async () => {
    const group = await withJointKey({ peers: 7, threshold: 5 });
    lies(group, { p2: silentIn('response') });
    slow(group, { p3: 200, p4: 200, p5: 200, p6: 200, p7: 200 });
    const times: number[] = [];
    for (let use = 0; use < 5; use += 1) times.push(await timed(group));
    expect(times.filter((ms) => ms > 600).length).toBeLessThanOrEqual(1);
    expect(Math.max(...times)).toBeLessThan(1500);
  });

  test('beside n − k members that say late that they have no share, and asks them last then', async () => {
    const group = await withJointKey();
    const gone = insteadOfPartial({ type: 'gone', now: 2 ** 40 });
    lies(group, { p2: gone, p3: gone });
    const late: Slow = ({ type }) => (type === 'response' ? 390 : 0);
    slow(group, { p2: late, p3: late, p4: 5, p5: 5 });
    const times: number[] = [];
    for (let use = 0; use < 4; use += 1) times.push(await timed(group));
    expect(times.filter((ms) => ms > 300)).toHaveLength(1);
    expect(penalized(group, 1, 'silent')).toEqual(['p2', 'p3']);
  });

  test('without those that commit first and then give nothing, or refuse whatever they are asked next', async () => {
    const group = await withJointKey();
    let turn = 0;
    const refusal: PartialAnswer = { type: 'refused', code: 'failed', why: '' };
    lies(group, {
      p2(honest, { type }) {
        if (type === 'response') return null;
        turn += 1;
        return turn % 2 === 0 ? refusal : honest;
      },
    });
    slow(group, { p3: 30, p4: 30, p5: 30 });
    const times: number[] = [];
    for (let use = 0; use < 8; use += 1) times.push(await timed(group));
    expect(times.filter((ms) => ms > 400).length).toBeLessThanOrEqual(1);
  });

  test('beside liars that take turns, one in each try, and is held up by each of them once', async () => {
    const group = await withJointKey({ peers: 10, threshold: 4 });
    const liars = ['p2', 'p3', 'p4'];
    lies(group, Object.fromEntries(liars.map((name) => [name, silentIn('response')])));
    slow(group, Object.fromEntries([5, 6, 7, 8, 9, 10].map((place) => [`p${place}`, 10])));
    const times: number[] = [];
    for (let use = 0; use < 8; use += 1) times.push(await timed(group));
    expect(times.filter((ms) => ms > 400).length).toBeLessThanOrEqual(liars.length);
  });

  test('and blames nobody for what a client does that hangs up', async () => {
    const group = await withJointKey();
    slow(group, { p2: 10, p3: 10, p4: 10, p5: 10 });
    for (const ms of [15, 25, 30, 35]) await asked(group, 1, requestFor(group), ms);
    for (const fault of ['silent', 'lied'] as const) expect(penalized(group, 1, fault)).toEqual([]);
  });

  test('and blames nobody beside a liar that refuses late', async () => {
    const group = await withJointKey();
    lies(group, { p2: insteadOfPartial({ type: 'refused', code: 'failed', why: '' }) });
    slow(group, { p2: ({ type }) => (type === 'response' ? 390 : 0), p3: 5, p4: 5, p5: 5 });
    for (let use = 0; use < 5; use += 1) await signed(group);
    expect(penalized(group, 1, 'silent')).toEqual(['p2']);
  });
});

/** A coordinator that keeps to nothing: p1, as p2 sees it. */
class HostileCoordinator {
  readonly group: Group;
  readonly epoch: number;

  constructor(group: Group) {
    this.group = group;
    this.epoch = group.epochOf(1);
  }

  async ask(to: number, question: PartialRequest): Promise<PartialAnswer> {
    const answer = this.group.node(to).use?.answer(this.group.node(1).peer, partialRequests.encode(question));
    let bytes: Uint8Array | undefined;
    void answer?.then((given) => (bytes = given));
    await this.group.until(() => bytes !== undefined, 10_000, 'the answer');
    return partialAnswers.decode(bytes as Uint8Array);
  }

  /** Round one with these members. */
  async commitments(
    request: UseRequest,
    session: Uint8Array,
    members = [2, 3, 4],
    epoch = this.epoch,
  ): Promise<{ by: number; commitment: Uint8Array }[]> {
    const list: { by: number; commitment: Uint8Array }[] = [];
    for (const by of members) {
      const answer = await this.ask(by, { type: 'nonces', epoch, request, session });
      if (answer.type !== 'nonce-commitment') throw new Error(`p${by} says ${JSON.stringify(answer)}`);
      list.push({ by, commitment: answer.commitment });
    }
    return list;
  }

  response(
    request: UseRequest,
    session: Uint8Array,
    commitments: { by: number; commitment: Uint8Array }[],
    epoch = this.epoch,
  ): PartialRequest {
    return { type: 'response', epoch, request, session, commitments };
  }
}

async function hostile(options: Partial<GroupOptions> = {}) {
  const group = await withJointKey(options);
  const coordinator = new HostileCoordinator(group);
  const request = requestFor(group);
  return { group, coordinator, request, session: random(16) };
}

describe('nonces of a member serve one answer, whatever a hostile coordinator asks:', () => {
  test('the same question twice gives one answer', async () => {
    const { coordinator, request, session } = await hostile();
    const list = await coordinator.commitments(request, session);
    const question = coordinator.response(request, session, list);
    expect(await coordinator.ask(2, question)).toMatchObject({ type: 'partial' });
    expect(await coordinator.ask(2, question)).toMatchObject({ code: 'unknown-session' });
  });

  test('two lists for one session give one answer, also when they come at the same moment', async () => {
    const { group, coordinator, request, session } = await hostile();
    const list = await coordinator.commitments(request, session);
    const [, , last] = await coordinator.commitments(request, random(16));
    const other = [...list.slice(0, 2), last as (typeof list)[0]];
    const answers: PartialAnswer[] = [];
    for (const commitments of [list, other, list, other])
      void group
        .node(2)
        .use?.answer(
          group.node(1).peer,
          partialRequests.encode(coordinator.response(request, session, commitments)),
        )
        .then((bytes) => answers.push(partialAnswers.decode(bytes)));
    await group.until(() => answers.length === 4);
    expect(answers.filter(({ type }) => type === 'partial')).toHaveLength(1);
    expect(
      answers.filter((answer) => answer.type === 'refused' && answer.code === 'unknown-session'),
    ).toHaveLength(3);
  });

  test('a second round for anything else gives nothing, and ends the session', async () => {
    type Bend = (given: {
      list: { by: number; commitment: Uint8Array }[];
      group: Group;
      other: { by: number; commitment: Uint8Array }[];
      question: Extract<PartialRequest, { type: 'response' }>;
    }) => PartialRequest;
    const bends: [string, Bend][] = [
      ['another request', ({ question, group }) => ({ ...question, request: requestFor(group) })],
      ['too few members', ({ question, list }) => ({ ...question, commitments: list.slice(0, 2) })],
      [
        'too many members',
        ({ question, list, other }) => ({ ...question, commitments: [...list, ...other.slice(-1)] }),
      ],
      [
        'a member twice',
        ({ question, list }) => ({ ...question, commitments: [list[0], list[0], list[1]] as typeof list }),
      ],
      ['another order', ({ question, list }) => ({ ...question, commitments: list.toReversed() })],
      [
        'nobody of the roster',
        ({ question, list }) => ({
          ...question,
          commitments: [...list.slice(0, 2), { by: 7, commitment: list[2]?.commitment as Uint8Array }],
        }),
      ],
      [
        'members without this one',
        ({ question, list, other }) => ({ ...question, commitments: [...list.slice(1), ...other.slice(-1)] }),
      ],
      [
        'a commitment of this member that it did not give',
        ({ question, list, other }) => ({
          ...question,
          commitments: [{ by: 2, commitment: other[0]?.commitment as Uint8Array }, ...list.slice(1)],
        }),
      ],
      [
        'a commitment that is none',
        ({ question, list }) => ({
          ...question,
          commitments: [...list.slice(0, 2), { by: 4, commitment: new Uint8Array(64) }],
        }),
      ],
      [
        'a key of another kind',
        ({ question, group }) => ({ ...question, request: requestFor(group, 'key') }),
      ],
      ['an epoch that is not there', ({ question }) => ({ ...question, epoch: 99 })],
      [
        'a request with a false signature',
        ({ question }) => ({ ...question, request: { ...question.request, signature: new Uint8Array(64) } }),
      ],
    ];
    const { group, coordinator, request } = await hostile();
    for (const [what, bend] of bends) {
      const session = random(16);
      const list = await coordinator.commitments(request, session);
      const other = await coordinator.commitments(request, random(16), [2, 3, 4, 5]);
      const question = coordinator.response(request, session, list) as Parameters<Bend>[0]['question'];
      const bent = await coordinator.ask(2, bend({ list, group, other, question }));
      expect(bent.type, what).not.toBe('partial');
      expect(await coordinator.ask(2, question), what).toMatchObject({ code: 'unknown-session' });
      // What it said of one session says nothing of another.
      const again = random(16);
      const fresh = await coordinator.commitments(request, again);
      const answer = await coordinator.ask(2, coordinator.response(request, again, fresh));
      expect(answer, what).toMatchObject({ type: 'partial' });
    }
    // Seven of them no honest coordinator sends.
    expect(group.node(2).transport.reproached.length).toBeGreaterThanOrEqual(7);
  });

  test('nonces that wait for a worker end with their epoch, and so does the share', async () => {
    const { group, coordinator, request, session } = await hostile();
    const list = await coordinator.commitments(request, session);
    const node = group.node(2);
    const { use } = node.workers;
    const gate = Promise.withResolvers<void>();
    let running = 0;
    node.workers.use = async (job) => {
      running += 1;
      if (running <= 2) await gate.promise;
      return use(job);
    };
    const ofRsa = (): Promise<Uint8Array> | undefined =>
      node.use?.answer(
        group.node(3).peer,
        partialRequests.encode({
          type: 'partial',
          epoch: coordinator.epoch,
          request: requestFor(group, 'key'),
          prove: false,
        }),
      );
    void ofRsa();
    void ofRsa();
    const rsa = ofRsa();
    const waiting = node.use?.answer(
      group.node(1).peer,
      partialRequests.encode(coordinator.response(request, session, list)),
    );
    await group.refresh(1);
    gate.resolve();
    for (const answer of [waiting, rsa])
      expect(partialAnswers.decode(await group.outcome(answer as Promise<Uint8Array>))).toMatchObject({
        type: 'gone',
      });
  });

  test('a member that stops gives none any more', async () => {
    const { group, coordinator, request, session } = await hostile();
    const list = await coordinator.commitments(request, session);
    group.node(2).use?.stop();
    expect(await coordinator.ask(2, coordinator.response(request, session, list))).toMatchObject({
      code: 'unknown-session',
    });
    await expect(coordinator.commitments(request, random(16), [2])).rejects.toThrow('this peer stops');
  });

  test('a session belongs to the coordinator that began it', async () => {
    const { group, coordinator, request, session } = await hostile();
    const list = await coordinator.commitments(request, session);
    const question = coordinator.response(request, session, list);
    const stolen = group
      .node(2)
      .use?.answer(group.node(5).peer, partialRequests.encode(question)) as Promise<Uint8Array>;
    expect(partialAnswers.decode(await stolen)).toMatchObject({ code: 'unknown-session' });
    expect(await coordinator.ask(2, question)).toMatchObject({ type: 'partial' });
  });

  test('a session that begins again under its name has other nonces, and the first are gone', async () => {
    const { coordinator, request, session } = await hostile();
    const first = await coordinator.commitments(request, session);
    const second = await coordinator.commitments(request, session, [2]);
    expect(second[0]?.commitment).not.toEqual(first[0]?.commitment);
    expect(await coordinator.ask(2, coordinator.response(request, session, first))).toMatchObject({
      code: 'wrong-session',
    });
  });

  test('a session ends when it is forgotten, after ten seconds, with its epoch, and with the daemon', async () => {
    const { group, coordinator, request } = await hostile();
    const ended = async (end: (session: Uint8Array) => unknown): Promise<void> => {
      const [session, epoch] = [random(16), group.epochOf(1)];
      const made = { ...request, ...requestFor(group) };
      const list = await coordinator.commitments(made, session, [2, 3, 4], epoch);
      await end(session);
      const answer = await coordinator.ask(2, coordinator.response(made, session, list, epoch));
      expect(['unknown-session', undefined]).toContain((answer as { code?: string }).code);
      expect(answer.type).not.toBe('partial');
    };
    await ended((session) => coordinator.ask(2, { type: 'forget', session }));
    await ended(() => group.run(10_001));
    await ended(() => group.refresh(3));
    await ended(async () => {
      await group.stop(2);
      await group.restart(2);
      await group.until(() => group.settledAt(group.epochOf(1)));
    });
    await signed(group);
  });

  test('many sessions end the oldest of that coordinator alone', async () => {
    const { group, coordinator, request } = await hostile();
    const sessions = Array.from({ length: 70 }, () => random(16));
    const other = random(16);
    const mine = { type: 'nonces', epoch: coordinator.epoch, request, session: other } as const;
    const kept = partialAnswers.decode(
      (await group.node(2).use?.answer(group.node(5).peer, partialRequests.encode(mine))) as Uint8Array,
    );
    const lists: { by: number; commitment: Uint8Array }[][] = [];
    for (const session of sessions) lists.push(await coordinator.commitments(request, session, [2]));
    const others = await coordinator.commitments(request, random(16), [3, 4]);
    const tried = async (at: number) =>
      coordinator.ask(
        2,
        coordinator.response(request, sessions[at] as Uint8Array, [...(lists[at] ?? []), ...others]),
      );
    expect(await tried(5)).toMatchObject({ code: 'unknown-session' });
    expect(await tried(6)).toMatchObject({ type: 'partial' });
    expect(await tried(69)).toMatchObject({ type: 'partial' });
    const commitment = (kept as { commitment: Uint8Array }).commitment;
    const question = coordinator.response(request, other, [{ by: 2, commitment }, ...others]);
    const bytes = group
      .node(2)
      .use?.answer(group.node(5).peer, partialRequests.encode(question)) as Promise<Uint8Array>;
    let answer: Uint8Array | undefined;
    void bytes.then((given) => (answer = given));
    await group.until(() => answer !== undefined);
    expect(partialAnswers.decode(answer as Uint8Array)).toMatchObject({ type: 'partial' });
  });

  test('no answer of two rounds is kept: partials of two sessions differ', async () => {
    const { coordinator, request } = await hostile();
    const partials = new Set<string>();
    for (let at = 0; at < 3; at += 1) {
      const session = random(16);
      const list = await coordinator.commitments(request, session);
      const answer = await coordinator.ask(2, coordinator.response(request, session, list));
      if (answer.type === 'partial') partials.add(hex(answer.partial));
    }
    expect(partials.size).toBe(3);
  });
});

describe('a key is used in as many rounds as its kind says:', () => {
  test('a member refuses the questions of the other way', async () => {
    const { group, coordinator, request, session } = await hostile();
    const { epoch } = coordinator;
    expect(await coordinator.ask(2, { type: 'partial', epoch, request, prove: false })).toMatchObject({
      code: 'wrong-rounds',
    });
    const rsa = requestFor(group, 'key');
    expect(await coordinator.ask(2, { type: 'nonces', epoch, request: rsa, session })).toMatchObject({
      code: 'wrong-rounds',
    });
    expect(await coordinator.ask(2, { type: 'forget', session })).toEqual({ type: 'done' });
    await settled();
  });

  test('shares of two epochs sign nothing together', async () => {
    const { group, coordinator, session } = await hostile();
    const request = requestFor(group);
    const old = coordinator.epoch;
    const list = await coordinator.commitments(request, session);
    await group.refresh(1);
    // The old share is erased, and the new one answers for its own epoch only.
    expect(await coordinator.ask(2, coordinator.response(request, session, list, old))).toMatchObject({
      type: 'gone',
    });
    expect(await coordinator.ask(3, coordinator.response(request, session, list, old + 1))).toMatchObject({
      code: expect.stringMatching(/-session$/),
    });
  });
});
