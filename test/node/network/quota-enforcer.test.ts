import { describe, expect, test } from 'vitest';
import { silentLog } from '../../../src/node/log.ts';
import { QuotaEnforcer } from '../../../src/node/network/quota-enforcer.ts';
import { cutOffForgottenMs, cutOffMsMax, cutOffMsMin, quotas } from '../../../src/node/network/quotas.ts';

describe('a member’s quotas', () => {
  const { atOnce, perSecond, excess } = quotas.refusals;
  const watched = () => {
    const time = { nowMs: 0 };
    const disconnected: string[] = [];
    const enforcer = new QuotaEnforcer({
      nowMs: () => time.nowMs,
      disconnect: (peer) => disconnected.push(peer),
      log: silentLog,
    });
    const use = (count: number): boolean[] =>
      Array.from({ length: count }, () => enforcer.spend('liar', 'refusals'));
    return { time, disconnected, enforcer, use };
  };

  test('within its quota is free, also for ever', () => {
    const { time, enforcer, use } = watched();
    expect(use(atOnce)).not.toContain(false);
    for (let second = 0; second < 1000; second += 1) {
      time.nowMs += 1000;
      expect(use(perSecond)).not.toContain(false);
    }
    expect(enforcer.cutOffs()).toEqual([]);
  });

  test('beyond it is one cut-off, and others are not touched', () => {
    const { time, disconnected, enforcer, use } = watched();
    expect(use(atOnce + 10).filter((allowed) => !allowed)).toHaveLength(10);
    expect(disconnected).toEqual(['liar']);
    expect(enforcer.isCutOff('liar')).toBe(true);
    expect(enforcer.isCutOff('honest')).toBe(false);
    expect(enforcer.cutOffs()).toEqual([{ peer: 'liar', reason: excess, times: 1, forMs: cutOffMsMin }]);
    time.nowMs += cutOffMsMin;
    expect(enforcer.isCutOff('liar')).toBe(false);
  });

  test('each cut-off is twice as long as the last, up to a bound, and all are forgotten after long good behaviour', () => {
    const { time, enforcer, use } = watched();
    let lengthMs = cutOffMsMin;
    for (let times = 1; times < 20; times += 1) {
      use(2 * atOnce);
      expect(enforcer.cutOffs()).toEqual([{ peer: 'liar', reason: excess, times, forMs: lengthMs }]);
      time.nowMs += lengthMs;
      lengthMs = Math.min(2 * lengthMs, cutOffMsMax);
    }
    time.nowMs += cutOffForgottenMs + 1;
    expect(enforcer.cutOffs()).toEqual([]);
    use(2 * atOnce);
    expect(enforcer.cutOffs()).toMatchObject([{ times: 1, forMs: cutOffMsMin }]);
  });

  test('who left the roster is forgotten', () => {
    const { enforcer, use } = watched();
    use(2 * atOnce);
    enforcer.keep((peer) => peer !== 'liar');
    expect(enforcer.cutOffs()).toEqual([]);
    expect(enforcer.isCutOff('liar')).toBe(false);
  });

  test('requests beyond their quota wait, as long as it takes to be within it again', () => {
    const { enforcer, time } = watched();
    const { requests } = quotas;
    for (let count = 0; count < requests.atOnce; count += 1)
      expect(enforcer.pace('busy', 'requests')).toBe(0);
    const waitMs = enforcer.pace('busy', 'requests');
    expect(waitMs).toBeCloseTo(1000 / requests.perSecond);
    time.nowMs += waitMs;
    expect(enforcer.pace('busy', 'requests')).toBeCloseTo(waitMs);
    expect(enforcer.isCutOff('busy')).toBe(false);
  });
});
