/** One group of five, 3 of 5, RSA-2048, whose random gates are half closed: signing and refreshing at the same time. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import type { EpochView } from '../../src/node/views/view.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { rounds } from '../support/rounds.ts';
import { hashesOf, refresh, startAndRecall } from './support.ts';

const refreshes = rounds({ usually: 7, all: 20 });
/** Of those, refreshes during which signatures are asked for. */
const busyRefreshes = rounds({ usually: 4, all: 10 });
const signaturesPerRefresh = 20;
const inFlight = 4;
const patienceMs = 180_000;

describe('five peers with a random gate of 0.5', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;

  beforeAll(async () => {
    const settings = { gate: 0.5, dealingWindowMs: 300, roundTimeoutMs: 500 };
    lab = await Lab.create({ peers: 5, threshold: 3, settings });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
  }, patienceMs);
  afterAll(() => lab?.close());

  const newest = async (): Promise<EpochView> => {
    const [epoch] = await lab.api('a').epochs(1);
    if (epoch === undefined) throw new Error('a member knows its newest epoch');
    return epoch;
  };

  /** Signs different messages at all peers in turn, several at a time; how many of the answers verify, by epoch. */
  async function signMany(count: number, label: string): Promise<number[]> {
    const epochs: number[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let at = next++; at < count; at = next++) {
        const data = `${label}, message ${at}`;
        const { signature, epoch } = await program.sign(lab.names[at % 5] ?? 'a', data);
        if (!program.accepts(data, signature)) throw new Error(`the signature of "${data}" does not verify`);
        epochs.push(epoch);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    return epochs;
  }

  test(`sign ${busyRefreshes * signaturesPerRefresh} times during ${busyRefreshes} refreshes, and none fails`, async () => {
    const epochs: number[] = [];
    for (let round = 0; round < busyRefreshes; round += 1) {
      const refreshed = refresh(lab, lab.names[round % 5] ?? 'a');
      const [signed] = await Promise.all([signMany(signaturesPerRefresh, `refresh ${round}`), refreshed]);
      epochs.push(...signed);
    }
    expect(epochs).toHaveLength(busyRefreshes * signaturesPerRefresh);
    expect(new Set(epochs).size).toBeGreaterThanOrEqual(busyRefreshes - 1);
  });

  test(`complete ${refreshes} refreshes; every v_i changes each time, and history names who did not deal`, async () => {
    const someoneDidNotDeal = async (): Promise<boolean> =>
      (await lab.api('b').epochs(100)).some(({ epoch, didNotDeal }) => epoch > 1 && didNotDeal.length > 0);
    // Such gates leave somebody out of every other change only.
    for (let round = busyRefreshes; round < refreshes || !(await someoneDidNotDeal()); round += 1)
      await refresh(lab, lab.names[round % 5] ?? 'a');
    const listed = (await lab.api('b').epochs(100)).filter(({ epoch }) => epoch >= 1).toReversed();
    const history: EpochView[] = []; // one after the other: a daemon refuses more than a few at once
    for (const { epoch } of listed) history.push(await lab.api('b').epoch(epoch));
    const changes = history.slice(1);
    expect(changes.length).toBeGreaterThanOrEqual(refreshes);
    const seen = new Set(history.slice(0, 1).flatMap(hashesOf));
    for (const epoch of changes) {
      expect(epoch.dealt.length).toBeGreaterThanOrEqual(3);
      expect([...epoch.dealt, ...epoch.didNotDeal, ...epoch.missing].toSorted()).toEqual(lab.names);
      expect(hashesOf(epoch)).toHaveLength(5);
      for (const hash of hashesOf(epoch)) expect(seen.has(hash)).toBe(false);
      for (const hash of hashesOf(epoch)) seen.add(hash);
    }
    expect(changes.some(({ didNotDeal }) => didNotDeal.length > 0)).toBe(true);
  });

  test('with one stopped a refresh completes, and the one that missed it recovers its share when it is back', async () => {
    const { epoch: before } = await newest();
    await lab.stop('e');
    const done = await refresh(lab, 'a');
    expect(done.missing).toEqual(['e']);
    expect(done.epoch).toBeGreaterThan(before);
    await startAndRecall(lab, ['e']);
    await lab.until('e', async (api) => {
      const { epoch, shareEpochs } = await api.status();
      return epoch !== null && epoch >= done.epoch && shareEpochs.includes(epoch) ? true : null;
    });
    await Promise.all(['a', 'b'].map(lab.stop));
    const { signature, signers } = await program.sign('e', 'signed with the recovered share');
    expect(signers.toSorted()).toEqual(['c', 'd', 'e']);
    expect(program.accepts('signed with the recovered share', signature)).toBe(true);
  });
});
