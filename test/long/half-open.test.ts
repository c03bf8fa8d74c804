/** §7.6 before Noise: connections to a real daemon's ports that never say who they are. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { lobbyLimits } from '../../src/node/lobby/lobby-transport.ts';
import { networkLimits } from '../../src/node/network/constants.ts';
import { parseInvitation } from '../../src/protocol/records/admission.ts';
import { HalfOpen } from '../support/half-open.ts';
import { resourcesOf } from '../support/resources.ts';
import { startAndRecall } from '../system/support.ts';

/** What a daemon opens for itself now and then. */
const slack = 16;

const portOf = (address: string | undefined): number => Number(/\/tcp\/(\d+)/.exec(address ?? '')?.[1]);

describe('hundreds of half-open connections', { timeout: 120_000 }, () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await Lab.create({ peers: 3, threshold: 2, settings: { dealingWindowMs: 200, logLevel: 'warn' } });
  }, 120_000);
  afterAll(() => lab?.close());

  /** All are closed by the daemon, in time, and it has its descriptors again. */
  async function released(storm: HalfOpen, descriptorsBefore: number): Promise<void> {
    storm.enough();
    const startedAtMs = performance.now();
    await storm.until(() => storm.open === 0);
    expect(performance.now() - startedAtMs).toBeLessThan(networkLimits.inboundUpgradeTimeoutMs + 3_000);
    await lab.until('a', async () =>
      resourcesOf(lab, 'a').descriptors < descriptorsBefore + slack ? true : null,
    );
  }

  test('at the main port: few are kept, members connect all the same, and all are let go', async () => {
    const self = (await lab.api('a').peers()).find((peer) => peer.self);
    const before = resourcesOf(lab, 'a').descriptors;
    await lab.stop('b');
    const storm = new HalfOpen(portOf(self?.addresses[0]), 300, 5_000);
    try {
      await storm.until(() => storm.made >= 600);
      await lab.until('a', async () =>
        resourcesOf(lab, 'a').descriptors < before + networkLimits.inboundPendingMax + slack ? true : null,
      );
      await startAndRecall(lab, ['b']);
      await lab.until('a', async (api) =>
        (await api.peers()).find(({ name }) => name === 'b')?.authenticated === true ? true : null,
      );
      process.stdout.write(`${storm.made} half-open connections were made when b was back\n`);
      await released(storm, before);
    } finally {
      storm.destroy();
    }
  });

  test('at an open lobby: few are kept, all are let go, and a newcomer is admitted', async () => {
    const invitation = (await lab.must('a', ['invite', '--for', '1h'])).toString('utf8').trim();
    const before = resourcesOf(lab, 'a').descriptors;
    const storm = new HalfOpen(portOf(parseInvitation(invitation).lobby[0]), 300, 300);
    try {
      await storm.until(() => storm.open <= lobbyLimits.pendingMax);
      expect(resourcesOf(lab, 'a').descriptors).toBeLessThan(before + lobbyLimits.pendingMax + slack);
      await lab.join('d');
      await lab.start('d');
      await lab.admit(['d']);
      await released(storm, before + slack);
    } finally {
      storm.destroy();
    }
  });
});
