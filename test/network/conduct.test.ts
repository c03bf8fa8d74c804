import { describe, expect, test } from 'vitest';
import { silentLog } from '../../src/node/log.ts';
import { Conduct } from '../../src/node/network/conduct.ts';
import { cutOffForgottenMs, cutOffMsMax, cutOffMsMin, quotas } from '../../src/node/network/quotas.ts';

describe('a member’s conduct', () => {
  const { atOnce, perSecond, excess } = quotas.refusals;
  const watched = () => {
    const time = { nowMs: 0 };
    const disconnected: string[] = [];
    const conduct = new Conduct({
      nowMs: () => time.nowMs,
      disconnect: (peer) => disconnected.push(peer),
      log: silentLog,
    });
    const use = (count: number): boolean[] =>
      Array.from({ length: count }, () => conduct.spend('liar', 'refusals'));
    return { time, disconnected, conduct, use };
  };

  test('within its quota is free, also for ever', () => {
    const { time, conduct, use } = watched();
    expect(use(atOnce)).not.toContain(false);
    for (let second = 0; second < 1000; second += 1) {
      time.nowMs += 1000;
      expect(use(perSecond)).not.toContain(false);
    }
    expect(conduct.cutOffs()).toEqual([]);
  });

  test('beyond it is one cut-off, and others are not touched', () => {
    const { time, disconnected, conduct, use } = watched();
    expect(use(atOnce + 10).filter((allowed) => !allowed)).toHaveLength(10);
    expect(disconnected).toEqual(['liar']);
    expect(conduct.isCutOff('liar')).toBe(true);
    expect(conduct.isCutOff('honest')).toBe(false);
    expect(conduct.cutOffs()).toEqual([{ peer: 'liar', reason: excess, times: 1, forMs: cutOffMsMin }]);
    time.nowMs += cutOffMsMin;
    expect(conduct.isCutOff('liar')).toBe(false);
  });

  test('each cut-off is twice as long as the last, up to a bound, and all are forgotten after long good conduct', () => {
    const { time, conduct, use } = watched();
    let lengthMs = cutOffMsMin;
    for (let times = 1; times < 20; times += 1) {
      use(2 * atOnce);
      expect(conduct.cutOffs()).toEqual([{ peer: 'liar', reason: excess, times, forMs: lengthMs }]);
      time.nowMs += lengthMs;
      lengthMs = Math.min(2 * lengthMs, cutOffMsMax);
    }
    time.nowMs += cutOffForgottenMs + 1;
    expect(conduct.cutOffs()).toEqual([]);
    use(2 * atOnce);
    expect(conduct.cutOffs()).toMatchObject([{ times: 1, forMs: cutOffMsMin }]);
  });

  test('who left the roster is forgotten', () => {
    const { conduct, use } = watched();
    use(2 * atOnce);
    conduct.keep((peer) => peer !== 'liar');
    expect(conduct.cutOffs()).toEqual([]);
    expect(conduct.isCutOff('liar')).toBe(false);
  });

  test('requests beyond their quota wait, as long as it takes to be within it again', () => {
    const { conduct, time } = watched();
    const { requests } = quotas;
    for (let count = 0; count < requests.atOnce; count += 1) expect(conduct.pace('busy', 'requests')).toBe(0);
    const waitMs = conduct.pace('busy', 'requests');
    expect(waitMs).toBeCloseTo(1000 / requests.perSecond);
    time.nowMs += waitMs;
    expect(conduct.pace('busy', 'requests')).toBeCloseTo(waitMs);
    expect(conduct.isCutOff('busy')).toBe(false);
  });
});
