/**
 * §7.6 at real daemons: programs with a member's identity and epoch key, with the identity alone, with that
 * of an evicted member, and with none, flood them in every way that the network layer knows of.
 */
import { randomBytes } from 'node:crypto';
import type { Connection } from '@libp2p/interface';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Stolen, stealHome, stolenAuthenticator } from '../../src/lab/hostile-peer.ts';
import { Lab } from '../../src/lab/lab.ts';
import { openKey, SigningProgram } from '../../src/lab/signing-program.ts';
import { stolenDurable } from '../../src/lab/stolen-shares.ts';
import type { Identity } from '../../src/node/home/identity.ts';
import { networkLimits, protocolIds } from '../../src/node/network/constants.ts';
import type { Durable } from '../../src/protocol/machine/durable-state.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { signUse } from '../../src/protocol/records/use-request.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { testIdentity } from '../node/network/loopback.ts';
import { closed, RawMember } from '../node/network/raw-member.ts';
import { type Resources, resourcesOf } from '../support/resources.ts';
import { type Flood, kindsIn, rogueFloods } from '../support/rogue-floods.ts';
import { startAndRecall, untilProblem } from '../system/support.ts';

const message = 'signed while rogues rage';
/** Most floods are over sooner, because their connection is. */
const floodMs = 30_000;
const target = 'a';
const growthMiBMax = 200;
const dialsMax = 600;
const dialsAtOnce = 32;

const kinds = ['attend', 'have', 'precommit', 'prevote', 'proposal', 'ready'];

describe('rogues at a real daemon', { timeout: 300_000 }, () => {
  let lab: Lab;
  let program: SigningProgram;
  let stolen: Stolen;
  const captured: Durable[] = [];

  beforeAll(async () => {
    lab = await Lab.create({ peers: 5, threshold: 3, settings: { dealingWindowMs: 200, logLevel: 'warn' } });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
    // A message stands in the store for a moment only: after some changes each kind was seen there.
    for (let changes = 0; changes < 100 && kindsIn(captured).size < kinds.length; changes += 1) {
      const epoch = (await lab.api('a').status()).epoch ?? 0;
      await lab.api('a').refresh();
      await lab.until('e', async (api) => {
        captured.push(await stolenDurable(lab.peer('e').home));
        const [newest] = await api.epochs(1);
        return newest !== undefined && newest.epoch > epoch && newest.retired ? true : null;
      });
      await lab.untilEpoch(epoch + 1);
    }
    stolen = await stealHome(lab, 'e');
    await lab.stop('e');
  }, 300_000);
  afterAll(() => lab?.close());

  const addressesOf = async (name: string): Promise<string[]> =>
    (await lab.api(name).peers()).find(({ self }) => self)?.addresses ?? [];

  /** Rightly signed, but not for what this group has. */
  const foreignRequests = () => {
    const { seed } = openKey(lab.clientFile('ca'));
    const { body } = program.request(message);
    const other = new Uint8Array(randomBytes(32));
    return {
      otherCluster: signUse(seed, { ...body, cluster: other }),
      otherKey: signUse(seed, { ...body, key: other }),
    };
  };

  /**
   * A connection that lives: whoever is refused sees it end a moment after the dial. Waits for a cut-off to
   * be over.
   */
  async function admitted(rogue: RawMember, addresses: readonly string[]): Promise<Connection> {
    for (const end = performance.now() + 90_000; performance.now() < end; ) {
      const connection = await rogue.dial(addresses).catch(() => null);
      const stream = await connection?.newStream('/ipfs/ping/1.0.0').catch(() => null);
      if (connection && stream) return connection;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error('a member’s identity was not let in for a minute and a half');
  }

  /** Floods a daemon until it ends that, or for a while; how many things were sent. */
  async function run(at: string, identity: Identity, prove: boolean, flood: Flood): Promise<number> {
    const rogue = await RawMember.start(identity);
    let count = 0;
    try {
      const addresses = await addressesOf(at);
      const connection = await admitted(rogue, addresses);
      if (prove) await rogue.prove(connection, hex(stolen.clusterId), stolenAuthenticator(stolen));
      const sent = (more = 1): void => {
        count += more;
      };
      const tools = { connection, rogue, addresses, captured, foreignRequests, sent };
      const over = new Promise((resolve) => setTimeout(resolve, floodMs));
      await Promise.race([flood.run(tools).catch(() => {}), over]);
      return count;
    } finally {
      await rogue.stop();
    }
  }

  /** A daemon that has never seen the rogue misbehave. */
  async function fresh(at: string): Promise<Resources> {
    await lab.stop(at);
    await startAndRecall(lab, [at]);
    await lab.until(at, async (api) =>
      (await api.peers()).filter(({ authenticated }) => authenticated).length >= 3 ? true : null,
    );
    return resourcesOf(lab, at);
  }

  async function expectUnharmed(at: string, before: Resources): Promise<void> {
    const { signature, signers } = await program.sign(at, message);
    expect(program.accepts(message, signature)).toBe(true);
    expect(signers).not.toContain('e');
    const now = resourcesOf(lab, at);
    expect(now.residentMiB - before.residentMiB).toBeLessThan(growthMiBMax);
    await lab.until(at, async () =>
      resourcesOf(lab, at).descriptors < before.descriptors + 8 ? true : null,
    );
  }

  test('has messages of every kind to send again', () => {
    expect([...kindsIn(captured)].sort()).toEqual(kinds);
  });

  describe.each([
    ['a member', target, true],
    ['the identity without the epoch key', 'b', false],
  ] as const)('by %s', (_who, at, prove) => {
    test.each(rogueFloods)('$what: bounded, and the others sign', async (flood) => {
      const before = await fresh(at);
      const sent = await run(at, stolen.identity, prove, flood);
      const { sentMin, excess } = (prove ? null : flood.unproven) ?? flood;
      expect(sent).toBeGreaterThanOrEqual(sentMin);
      if (excess !== null)
        await untilProblem(lab, at, 'cut-off', new RegExp(`^e sent ${excess} and was cut off`));
      await expectUnharmed(at, before);
    });
  });

  test('who goes on when it is let in again is cut off again, and named with how often', async () => {
    const [flood] = rogueFloods;
    if (flood === undefined) throw new Error('there are floods');
    await fresh('c');
    for (const times of ['once', '2 times', '3 times']) {
      await run('c', stolen.identity, true, flood);
      await untilProblem(lab, 'c', 'cut-off', new RegExp(`^e sent .* cut off, ${times} so far`));
    }
  });

  test(`${dialsMax} dials by a stranger, and by the member once it is evicted, ${dialsAtOnce} at once: no stream, bounded`, async () => {
    await lab.evict(['e']);
    await lab.until(target, async (api) =>
      (await api.peers()).some(({ name }) => name === 'e') ? null : true,
    );
    const addresses = await addressesOf(target);
    for (const identity of [stolen.identity, await testIdentity(99)]) {
      const before = resourcesOf(lab, target);
      const rogue = await RawMember.start(identity);
      const served = async (): Promise<boolean> => {
        const connection = await rogue.dial(addresses).catch(() => null);
        const stream = await connection?.newStream(protocolIds.direct).catch(() => null);
        if (connection && !stream) await closed(connection);
        return Boolean(stream);
      };
      // Whoever is evicted is still let in for half a second, to learn the value that evicts it.
      for (let count = 0; count < 1000 && (await served()); count += 1);
      let dialled = 0;
      let descriptorsMost = 0;
      const worker = async (): Promise<void> => {
        while (dialled < dialsMax) {
          dialled += 1;
          expect(await served()).toBe(false);
          descriptorsMost = Math.max(descriptorsMost, resourcesOf(lab, target).descriptors);
        }
      };
      const dialling = Promise.all(Array.from({ length: dialsAtOnce }, worker));
      const { signature } = await program.sign(target, message);
      expect(program.accepts(message, signature)).toBe(true);
      await dialling;
      expect(dialled).toBeGreaterThanOrEqual(dialsMax);
      expect(descriptorsMost - before.descriptors).toBeLessThan(networkLimits.inboundPendingMax + 32);
      await rogue.stop();
      await expectUnharmed(target, before);
    }
  });
});
