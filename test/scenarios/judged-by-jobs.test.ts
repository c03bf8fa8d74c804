/**
 * What the core leaves to jobs for keys that are not quick (§4 "Joint creation", §4.5). It waits for what
 * they find and acts on nothing before. A worker that dies delays it.
 */
import { beforeAll, expect, test } from 'vitest';
import { learnKind } from '../../src/keys/kinds.ts';
import type { Job } from '../../src/protocol/machine/io.ts';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { frameEnvelope, type Message, type RetireProof } from '../../src/protocol/records/change-messages.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { toy, toyKey } from '../../src/simulation/world/toy-kind.ts';
import { flipped } from '../protocol/support.ts';
import { fired, fivePeers, messageIn } from './support.ts';

beforeAll(() => learnKind(toy));

async function orderJointKey(group: Group): Promise<number> {
  const next = group.epochOf(1) + 1;
  await group.order(1, { type: 'create-key-jointly', name: 'joint', kind: 'toy', use: 'sign' });
  return next;
}

/** What a member has published of one type. */
const published = <Type extends Message['type']>(group: Group, place: number, type: Type) =>
  group.node(place).outputs.flatMap((output) => {
    const message = output.type === 'publish' ? messageIn(output.frame) : null;
    return message?.type === type ? [message as Extract<Message, { type: Type }>] : [];
  });

/** Holds these jobs of one member back until it is told to go on. */
function holding(group: Group, node: string, isHeld: (job: Job) => boolean): () => void {
  let goOn = () => {};
  const released = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  group.options.beforeJob = (name, job) => (name === node && isHeld(job) ? released : undefined);
  return goOn;
}

/** The digest of the dealing of the member with this index, as a member that has received it knows it. */
const digestOf = (group: Group, place: number, dealer: number): string =>
  Object.entries(group.state(place).durable.subShares).find(([, held]) => held.dealer === dealer)?.[0] ?? '';

const votedFor = (group: Group, place: number, epoch: number): number =>
  published(group, place, 'prevote').filter((vote) => vote.epoch === epoch && vote.value !== null).length;

test('a part that is not judged is neither listed nor proposed nor prevoted, and the group goes on', async () => {
  const group = await fivePeers();
  const goOn = holding(group, 'p3', (job) => job.kind === 'judge-parts' && job.dealer === 2);
  const next = await orderJointKey(group);
  await group.until(() => [1, 2, 4, 5].every((place) => group.epochOf(place) === next));
  const digest = digestOf(group, 1, 2);
  expect(digest).not.toBe('');
  const { accepted } = headOf(group.state(1));
  expect(accepted.map((each) => hex(each.digest))).toContain(digest);
  const listed = published(group, 3, 'have').flatMap(({ digests }) => digests.map(hex));
  expect(listed).not.toContain(digest);
  expect(votedFor(group, 3, next)).toBe(0);
  goOn();
  await group.until(() => group.settledAt(next));
});

for (const [place, what] of [
  [2, 'the leader proposes'],
  [3, 'a member prevotes'],
] as const)
  test(`${what} only after a job has summed the keys`, async () => {
    const group = await fivePeers();
    const goOn = holding(group, `p${place}`, ({ kind }) => kind === 'sum-keys');
    const next = await orderJointKey(group);
    await group.until(() => group.epochOf(5) === next);
    expect(fired(group, place, 'propose', { epoch: next })).toBe(false);
    expect(votedFor(group, place, next)).toBe(0);
    goOn();
    await group.until(() => group.settledAt(next));
  });

test('what is listed while a job sums the keys keeps no leader from proposing', async () => {
  const group = await fivePeers({ timing: { roundTimeoutMs: 5_000 } });
  let isSumming = false;
  const goOn = holding(group, 'p2', ({ kind }) => {
    isSumming ||= kind === 'sum-keys';
    return kind === 'sum-keys';
  });
  // p5 is heard late.
  group.intercept = ({ from }, frame) =>
    from === 'p5' && ['dealing', 'have'].includes(messageIn(frame)?.type ?? '') ? [] : [frame];
  const next = await orderJointKey(group);
  await group.until(() => isSumming);
  group.intercept = null;
  await group.until(() =>
    published(group, 2, 'have').some(({ epoch, digests }) => epoch === next && digests.length === 5),
  );
  goOn();
  await group.until(() => fired(group, 2, 'propose', { epoch: next, round: 0, dealings: 4 }));
  await group.until(() => group.settledAt(next));
});

test('a member that restarts judges nothing again that it holds, and takes part in the change', async () => {
  const group = await fivePeers();
  const judged: number[] = [];
  group.options.beforeJob = (node, job) => {
    if (node === 'p3' && job.kind === 'judge-parts') judged.push(job.dealer);
    return undefined;
  };
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  const next = await orderJointKey(group);
  await group.until(() => votedFor(group, 3, next) > 0);
  await group.stop(3);
  await group.restart(3);
  await group.until(() => fired(group, 3, 'recalled'));
  group.intercept = null;
  await group.until(() => group.settledAt(next));
  expect(judged.sort()).toEqual([1, 2, 4, 5]);
});

/** A group in which one member's proofs of possession are false. */
const withFalseParts = (dealer: number): Promise<Group> =>
  fivePeers({
    afterJob: (node, result) =>
      node === `p${dealer}` && result.kind === 'deal'
        ? {
            ...result,
            parts: result.parts.map(({ possession, ...part }) => ({
              ...part,
              possession: possession && flipped(possession, 40),
            })),
          }
        : result,
  });

test('a part that a leader found false before its packet came is refused when the packet comes', async () => {
  const group = await withFalseParts(1);
  let isJudging = false;
  const goOn = holding(group, 'p2', (job) => {
    const isHeld = job.kind === 'judge-parts' && job.dealer === 1;
    isJudging ||= isHeld;
    return isHeld;
  });
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  const next = await orderJointKey(group);
  await group.until(() => isJudging);
  // Of the dealing p2 keeps the public half, which p1 lists, and forgets the packet.
  await group.stop(2);
  goOn();
  group.options.beforeJob = () => undefined;
  group.intercept = ({ from, to }, frame) => {
    const type = messageIn(frame)?.type;
    return type === 'precommit' || (type === 'dealing' && from === 'p1' && to === 'p2') ? [] : [frame];
  };
  await group.restart(2);
  await group.until(() => Object.values(group.state(2).volatile.parts).includes(false), 300_000);
  expect(fired(group, 2, 'false-part')).toBe(false);
  group.intercept = null;
  await group.until(() => group.settledAt(next), 120_000);
  expect(fired(group, 2, 'false-part', { epoch: next, dealer: 1 })).toBe(true);
});

test('the dealer of a false part is named and reproached, by everybody', async () => {
  const group = await withFalseParts(2);
  const next = await orderJointKey(group);
  await group.until(() => group.settledAt(next));
  for (const place of [1, 3, 4, 5]) {
    expect(fired(group, place, 'false-part', { epoch: next, dealer: 2 })).toBe(true);
    const refused = group.node(place).outputs.filter((output) => output.type === 'refused');
    expect(refused).toContainEqual({
      type: 'refused',
      from: group.node(2).peer,
      code: 'bad-dealing',
      action: 'reject',
      why: 'dealing of 2: its part of a new key is none',
    });
    expect(group.state(place).durable.blames).toEqual({});
  }
});

for (const kind of ['judge-parts', 'sum-keys'] as const)
  test(`a worker that dies twice in the middle of ${kind} delays a change, and nobody is blamed`, async () => {
    const group = await fivePeers();
    let deaths = 0;
    group.options.beforeJob = (node, job) => {
      if (node !== 'p2' || job.kind !== kind || deaths >= 2) return undefined;
      deaths += 1;
      return Promise.reject(new Error('Terminating worker thread'));
    };
    const next = await orderJointKey(group);
    await group.until(() => group.settledAt(next));
    expect(fired(group, 2, 'job-failed', { job: kind, failures: 1, cause: 'the worker died' })).toBe(true);
    expect(group.running.flatMap(({ driver }) => Object.keys(driver?.state.durable.blames ?? {}))).toEqual(
      [],
    );
  });

test('a part on which the worker dies each time stops no other, and its dealer is named without blame', async () => {
  const group = await fivePeers();
  group.options.beforeJob = (node, job) =>
    node === 'p3' && job.kind === 'judge-parts' && job.dealer === 2
      ? Promise.reject(new Error('Terminating worker thread'))
      : undefined;
  // The decision waits until the dealing is given up.
  group.intercept = (_, frame) => (messageIn(frame)?.type === 'precommit' ? [] : [frame]);
  const next = await orderJointKey(group);
  await group.until(() => fired(group, 3, 'dealing-given-up', { dealer: 2 }));
  expect(digestOf(group, 3, 2)).toBe('');
  expect(digestOf(group, 3, 4)).not.toBe('');
  group.intercept = null;
  await group.until(() => group.settledAt(next), 120_000, 'the creation');
  expect(holdsShare(group.state(3))).toBe(true);
  expect(group.state(3).durable.blames).toEqual({});
});

/**
 * A group with an RSA and a toy key. All but p1 have retired what is older, by the given proof, which p1
 * lacks.
 */
async function withoutProofAtFirst(): Promise<{ group: Group; proof: RetireProof }> {
  const group = await fivePeers();
  const { threshold } = headOf(group.state(1));
  await group.giveKey('toy', 1, group.newKeyOf('toy', toyKey({ threshold, randomBytes: group.random })));
  group.intercept = ({ to }, frame) =>
    to === 'p1' && (frame.type === 'retire' || (frame.type === 'message' && frame.message.trials))
      ? []
      : [frame];
  const epoch = group.epochOf(1) + 1;
  group.node(1).driver?.refresh();
  await group.until(() => [2, 3, 4, 5].every((place) => group.state(place).durable.own.retired === epoch));
  await group.until(() => fired(group, 1, 'ready', { epoch }));
  return { group, proof: group.state(2).durable.retires[epoch] as RetireProof };
}

const tell = (group: Group, by: number, proof: RetireProof) =>
  group.node(1).driver?.dispatch({
    type: 'frame',
    from: group.node(by).peer,
    authenticated: true,
    frame: frameEnvelope.encode({ type: 'retire', proof }),
  });

test('a job judges a retire proof, one of each peer at a time, and a false one is held against its sender', async () => {
  const { group, proof } = await withoutProofAtFirst();
  const [first, second] = proof.proofs as [Uint8Array, Uint8Array];
  const bent = { ...proof, proofs: [first, flipped(second, second.length - 1)] };
  let jobs = 0;
  const goOn = holding(group, 'p1', ({ kind }) => {
    jobs += kind === 'judge-retire' ? 1 : 0;
    return kind === 'judge-retire';
  });
  for (let times = 0; times < 20; times += 1) await tell(group, 2, bent);
  await tell(group, 3, proof);
  await group.run(1_000);
  expect(jobs).toBe(1);
  expect(group.state(1).durable.retires[proof.epoch]).toBeUndefined();
  goOn();
  await group.until(() => group.state(1).durable.retires[proof.epoch] !== undefined);
  const reproached = group
    .node(1)
    .outputs.flatMap((output) =>
      output.type === 'refused' && output.action === 'reject' ? [output.from] : [],
    );
  expect(reproached).toEqual([group.node(2).peer]);
  expect(jobs).toBe(2);
  expect(group.state(1).volatile.retireProofs).toEqual({});
});

test('a retire proof that no worker can judge is dropped, and another one is taken', async () => {
  const { group, proof } = await withoutProofAtFirst();
  let dies = true;
  group.options.beforeJob = (node, { kind }) =>
    node === 'p1' && kind === 'judge-retire' && dies
      ? Promise.reject(new Error('Terminating worker thread'))
      : undefined;
  await tell(group, 2, proof);
  await group.until(() => Object.keys(group.state(1).volatile.retireProofs).length === 0);
  expect(group.state(1).durable.retires[proof.epoch]).toBeUndefined();
  dies = false;
  await tell(group, 2, proof);
  await group.until(() => group.state(1).durable.retires[proof.epoch] !== undefined);
});
