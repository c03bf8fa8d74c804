/**
 * Feeds damaged messages of a running group to everything that reads messages of others. The damage is
 * seeded. Every test run uses it shortly, and `scripts/test --all` for long.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { SigningKey } from '../../src/client/signing-key.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { DaemonError } from '../../src/node/errors.ts';
import { partialAnswers, partialRequests } from '../../src/node/use/partial-messages.ts';
import type { UseService } from '../../src/node/use/service.ts';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { frameEnvelope, messageSchema } from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import { type SignBody, signUse, type UseRequest } from '../../src/protocol/records/use-request.ts';
import type { Client } from '../../src/protocol/records/value.ts';
import { signedAs } from '../../src/simulation/lies/forging.ts';
import { Group } from '../../src/simulation/world/group.ts';
import type { Route } from '../../src/simulation/world/simulated-network.ts';
import { Mutator } from './mutations.ts';

/** For each place, how many inputs it got, and how many of them it refused with a name. */
export type FuzzCounts = Map<string, { inputs: number; refused: number }>;
const entryOf = (counts: FuzzCounts, where: string) => {
  const entry = counts.get(where) ?? { inputs: 0, refused: 0 };
  counts.set(where, entry);
  return entry;
};

const liar = 5;
const honest = [1, 2, 3, 4];

const clientSeed = new Uint8Array(32).fill(9);
const signingKey: SigningKey = { seed: clientSeed, publicKey: ed25519FromSeed(clientSeed).publicKey };
const client: Client = {
  name: 'client',
  publicKey: signingKey.publicKey,
  rights: [{ key: '*', operations: ['sign', 'decrypt'] }],
  ratePerMinute: 0,
};

/** A group of five peers with one key. Frames of p5 pass through `route`. */
async function noisyGroup(seed: number, route: Route): Promise<Group> {
  const group = new Group({
    ...{ peers: 5, threshold: 3, seed, clients: [client] },
    network: { route, queueFramesMax: 100_000 },
  });
  await group.start();
  await group.createKey();
  return group;
}

const stable = (group: Group, epoch: number): boolean =>
  honest.every((index) => {
    const state = group.state(index);
    const { head, retired } = state.durable.own;
    return head >= epoch && retired === head && holdsShare(state);
  });

async function refresh(group: Group): Promise<void> {
  const next = group.epochOf(1) + 1;
  group.node(1).driver?.refresh();
  await group.until(() => stable(group, next), 600_000, `epoch ${next} in spite of noise`);
}

/**
 * Feeds live drivers while the group refreshes. Every frame of p5 arrives, and with it damaged copies of it
 * and of earlier frames. Each refusal names p5.
 */
export async function fuzzDrivers(seed: number, inputs: number, counts: FuzzCounts): Promise<void> {
  const mutator = new Mutator(seed);
  const recorded: Record<'gossip' | 'direct', Uint8Array[]> = { gossip: [], direct: [] };
  let copies = 0;
  let fed = 0;
  let roundEnds = 0;
  const liarPeer = 'peer-0005';
  const group = await noisyGroup(seed, ({ from, via, bytes }) => {
    if (from !== liarPeer) return [{ bytes }];
    if (copies === 0) return [{ bytes }];
    const known = recorded[via];
    if (known.length < 2_000) known.push(bytes);
    else known[mutator.below(known.length)] = bytes;
    // p5 answers the answers to its damaged frames, and these answers are damaged again. A bound ends that.
    const count = Math.min(copies, roundEnds - fed);
    const damaged = Array.from({ length: Math.max(0, count) }, () => {
      fed += 1;
      entryOf(counts, `${via} frames into a driver`).inputs += 1;
      const victim = mutator.random() < 0.5 ? bytes : mutator.pick(known);
      // The copies are spread in time. Otherwise the inbox would be full, and would drop them unread.
      return { bytes: mutator.mutate(victim, known).bytes, laterMs: mutator.random() * 40 };
    });
    return [{ bytes }, ...damaged];
  });
  const collect = (): void => {
    for (const { output } of group.trace) {
      if (output.type !== 'refused' || output.action === 'ignore') continue;
      assert.equal(output.from, liarPeer, 'nobody honest is blamed');
      entryOf(counts, 'all frames into drivers').refused += 1;
    }
    group.trace.length = 0;
    for (const node of group.nodes) node.outputs.length = 0;
  };
  try {
    collect();
    copies = Math.min(60, Math.max(10, Math.ceil(inputs / 400)));
    const heap = new HeapWatch();
    while (fed < inputs * 0.8) {
      roundEnds = fed + 2_000;
      await refresh(group);
      collect();
      heap.look(fed / inputs);
    }
    copies = 0;
    fed = 0;
    while (fed < inputs * 0.2) {
      fed += feedSigned(group, mutator, recorded, Math.min(200, inputs), counts);
      await group.run(100);
      collect();
    }
    await refresh(group);
    const { early } = group.state(1).volatile;
    assert(early.length <= 512, 'what waits for a decision stays bounded');
    await signs(group);
  } finally {
    await group.stopAll();
  }
}

/** Looks at the used memory after each tenth of the inputs. Noise must not make it grow. */
class HeapWatch {
  readonly #collect: () => void;
  #firstMiB: number | null = null;
  #nextPart = 0.1;

  constructor() {
    setFlagsFromString('--expose-gc');
    this.#collect = runInNewContext('gc') as () => void;
  }

  look(part: number): void {
    if (part < this.#nextPart) return;
    this.#nextPart = part + 0.1;
    this.#collect();
    const usedMiB = process.memoryUsage().heapUsed / 2 ** 20;
    this.#firstMiB ??= usedMiB;
    assert(usedMiB < this.#firstMiB + 64, `memory grew from ${this.#firstMiB} to ${usedMiB} MiB`);
  }
}

/**
 * Sends messages of p5 with changed content and p5's true signature, as from a member that was broken into.
 */
function feedSigned(
  group: Group,
  mutator: Mutator,
  recorded: Record<'gossip' | 'direct', Uint8Array[]>,
  count: number,
  counts: FuzzCounts,
): number {
  const state = group.state(liar);
  const epoch = headOf(state).epoch + 1;
  const known = [...recorded.direct, ...recorded.gossip].flatMap((bytes) => {
    const frame = frameEnvelope.decode(bytes);
    if (frame.type !== 'message') return [];
    const message = decode(messageSchema, frame.message.packet.body);
    return message.by === liar ? [{ frame, message }] : [];
  });
  for (let at = 0; at < count; at += 1) {
    const { frame, message } = mutator.pick(known);
    const changed: Record<string, unknown> = structuredClone(message);
    changed.epoch = mutator.random() < 0.9 ? epoch : epoch + 1;
    // Attends keep their content. Contradicting Attends suspend p5, and then most of the rest would not be
    // read.
    if (message.type !== 'attend') mutator.withAnything(changed, ['type', 'by']);
    const packet = signedAs(state, changed);
    assert(packet !== null, 'p5 holds its epoch key');
    const bytes = frameEnvelope.encode({ type: 'message', message: { ...frame.message, packet } });
    entryOf(counts, 'rightly signed frames into a driver').inputs += 1;
    group.network.inject(group.node(liar).peer, group.node(mutator.pick(honest)).peer, bytes);
  }
  return count;
}

const requestOf = (group: Group, mutator: Mutator): UseRequest<SignBody> => {
  const state = group.state(1);
  const key = headOf(state).keys[0];
  assert(key !== undefined, 'the group has a key');
  const digest = new Uint8Array(createHash('sha256').update(mutator.bytes(8)).digest());
  return signUse<SignBody>(signingKey.seed, {
    v: 1,
    ...{
      cluster: state.clusterId,
      client: signingKey.publicKey,
      key: key.id,
      operation: 'sign',
      kind: 'rsa',
    },
    asked: { scheme: 'pkcs1', hash: 'sha256', digest, salt: new Uint8Array() },
    nonce: mutator.bytes(16),
    expiresAtMs: Math.ceil(group.time.clock().wallMs()) + 60_000,
  });
};

const useAt = (group: Group, place: number): UseService => {
  const { use } = group.node(place);
  assert(use !== null, 'it runs');
  return use;
};

/** The group signs a request of the client. */
async function signs(group: Group): Promise<void> {
  const signing = useAt(group, 1).sign(requestOf(group, new Mutator(1)), 5_000);
  assert.equal((await group.outcome(signing)).signature.length, 64);
}

/**
 * Feeds requests for partials to a member. It gives a partial for a request that a client signed, and for
 * nothing else.
 */
export async function fuzzUseRequests(seed: number, inputs: number, counts: FuzzCounts): Promise<void> {
  const mutator = new Mutator(seed);
  const group = await noisyGroup(seed, ({ bytes }) => [{ bytes }]);
  try {
    const requests = Array.from({ length: 40 }, () => requestOf(group, mutator));
    const signed = new Set(requests.map((request) => hex(encode(request))));
    const epoch = group.epochOf(1);
    const recorded = requests.map((request) =>
      partialRequests.encode({ type: 'partial', epoch, request, prove: mutator.random() < 0.2 }),
    );
    const counted = entryOf(counts, 'requests for partials');
    for (let at = 0; at < inputs; at += 1) {
      const { bytes } = mutator.mutate(mutator.pick(recorded), recorded);
      counted.inputs += 1;
      const answer = partialAnswers.decode(await group.outcome(useAt(group, 1).answer('p5', bytes)));
      if (answer.type === 'refused') counted.refused += 1;
      if (answer.type !== 'partial') continue;
      const asked = partialRequests.decode(bytes);
      assert(asked.type === 'partial' && signed.has(hex(encode(asked.request))), 'as a client signed it');
    }
    const blames = group.node(1).transport.reproached;
    assert(
      blames.length > 0 && blames.every(([peer]) => peer === 'p5'),
      'who asks is blamed, and nobody else',
    );
    await signs(group);
  } finally {
    await group.stopAll();
  }
}

/**
 * Feeds answers of p5 to a member that coordinates. Every signature that it releases is true, and liars do
 * not stop it.
 */
export async function fuzzUseAnswers(seed: number, inputs: number, counts: FuzzCounts): Promise<void> {
  const mutator = new Mutator(seed);
  const group = await noisyGroup(seed, ({ bytes }) => [{ bytes }]);
  try {
    const recorded: Uint8Array[] = [];
    const counted = entryOf(counts, 'answers to a coordinator');
    group.answerUse = async ({ to }, asked, honest) => {
      const answer = await honest(asked);
      if (recorded.length < 500) recorded.push(answer);
      if (to !== 'p5') return answer;
      counted.inputs += 1;
      return mutator.mutate(answer, recorded).bytes;
    };
    const { driver, ...node } = group.node(1);
    assert(driver !== null, 'it runs');
    while (counted.inputs < inputs) {
      // Each time there is a new coordinator. One that knows the liar would ask only the others.
      const coordinator = group.newUse(node, driver);
      const isPlain = await group.outcome(
        coordinator.sign(requestOf(group, mutator), 5_000).then(
          ({ signature }) => signature.length === 64,
          (error: unknown) => error instanceof DaemonError,
        ),
        60_000,
        'an answer',
      );
      assert(isPlain, 'a signature that was checked, or a plain refusal');
      counted.refused += coordinator.penalties().length;
    }
  } finally {
    await group.stopAll();
  }
}
