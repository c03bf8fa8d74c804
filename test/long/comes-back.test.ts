/**
 * A member that was evicted comes back in a new home, under its old name and then another: it is as new, and
 * its old home is nobody.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { trialBlock } from '../../src/keys/rsa/encoding.ts';
import { parametersOf, publicOf } from '../../src/keys/rsa/setting.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { refresh, stolenShares } from '../system/support.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const message = 'signed by who came back';
const patienceMs = 180_000;

describe('a 2-of-4 group of which one member leaves and comes back', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;

  beforeAll(async () => {
    lab = await Lab.create({ peers: 4, threshold: 2, settings: { dealingWindowMs: 300 } });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
  }, patienceMs);
  afterAll(() => lab?.close());

  const shareNow = (home: string) =>
    lab.until(home, async (api) => {
      const { epoch, shareEpochs } = await api.status();
      return epoch !== null && shareEpochs.includes(epoch) ? epoch : null;
    });

  /** Admits the peer whose home is `home` and that calls itself `name`; resolves when it holds a share. */
  async function admit(home: string, name: string): Promise<number | null> {
    await lab.join(home, name);
    await lab.start(home);
    await lab.must('a', ['invite', '--for', '1h']);
    const fingerprint = await lab.until('a', async (api) => {
      const waiting = (await api.peers()).find((peer) => peer.state === 'waiting' && peer.name === name);
      return waiting?.fingerprint ?? null;
    });
    await lab.must('a', ['admit', name, '--operator', lab.operatorFile, '--yes', fingerprint]);
    await shareNow(home);
    return (await lab.api(home).status()).index;
  }

  async function evict(home: string, name: string): Promise<void> {
    await lab.evict([name]);
    await lab.until(home, async (api) => ((await api.status()).state === 'evicted' ? true : null));
    await lab.stop(home);
  }

  test('under its old name, then as somebody else, each time with the index that was free', async () => {
    const { index } = await lab.api('d').status();
    for (const [before, home, name] of [
      ['d', 'd-again', 'd'],
      ['d-again', 'e', 'e'],
    ] as const) {
      await evict(before, 'd');
      expect(await admit(home, name)).toBe(index);
      const { signature, signers } = await program.sign(home, message);
      expect(program.accepts(message, signature)).toBe(true);
      expect(signers).toContain(name);
    }
    const members = (await lab.api('a').peers()).filter(({ state }) => state === 'member');
    expect(members.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'e']);
  });

  test('its old home is let in by nobody, though its index is in use again', async () => {
    await lab.start('d');
    const epoch = (await lab.api('d').status()).epoch ?? 0;
    const members = ['a', 'b', 'c', 'e'];
    const newest = (await lab.api('b').status()).epoch ?? 0;
    await lab.api('b').refresh();
    await lab.untilEpoch(newest + 1, members);
    const status = await lab.api('d').status();
    expect([status.state, status.epoch, status.connected, status.shareEpochs]).toEqual([
      'evicted',
      epoch,
      [],
      [],
    ]);
    await lab.stop('d');
  });

  test('its new share with another’s signs; a share that it had under the same index before does not', async () => {
    const [key] = (await lab.api('a').links((await lab.api('a').status()).epoch ?? 0))[0]?.value.keys ?? [];
    if (key === undefined) throw new Error('the newest value has the key');
    const shared = publicOf(key.public);
    const parameters = parametersOf({ public: key.public, threshold: 2, membersMax: 20 });
    const block = trialBlock(new Uint8Array(32), key.id, shared.modulus);
    const partialOf = async (home: string): Promise<[number, bigint]> => {
      const epoch = await shareNow(home);
      const share = (await stolenShares(lab, home, key.id)).get(epoch);
      const { index } = await lab.api(home).status();
      if (share === undefined || index === null) throw new Error(`${home} has a share`);
      return [index, partial({ key: shared, parameters, share, block, blinding })];
    };
    const combined = (...pairs: [number, bigint][]) =>
      combine({ key: shared, parameters, block, partials: new Map(pairs) });
    const before = await partialOf('e');
    expect(combined(before, await partialOf('a'))).not.toBeNull();
    await lab.evict(['e']);
    await lab.until('e', async (api) => ((await api.status()).state === 'evicted' ? true : null));
    await lab.stop('e');
    await admit('d-third', 'd');
    const [after, other] = [await partialOf('d-third'), await partialOf('a')];
    expect(after[0]).toBe(before[0]);
    expect(combined(after, other)).not.toBeNull();
    expect(combined(before, other)).toBeNull();
  });

  test('the others held the next change back while it recovered, as their history says', async () => {
    await refresh(lab, 'a');
    const histories = await Promise.all(['a', 'b', 'c'].map((name) => lab.api(name).epochs(100)));
    const holds = histories
      .flat()
      .flatMap(({ pauses }) => pauses.filter(({ kind, member }) => kind === 'held' && member === 'd'));
    expect(holds.length).toBeGreaterThan(0);
    for (const { ms, lasts } of holds) {
      expect(lasts).toBe(false);
      expect(ms).toBeLessThanOrEqual(3000);
    }
  });
});
