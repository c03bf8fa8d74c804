/** The one rule of who may attend (§4.1), against every group of up to six and whatever its members then do. */
import { describe, expect, test } from 'vitest';
import {
  attendanceOf,
  checkAttendance,
  enoughAttend,
  lastingSuspensions,
} from '../../src/protocol/records/attendance.ts';
import type { FaultModel } from '../../src/protocol/records/genesis.ts';
import { type Member, quorumOf } from '../../src/protocol/records/roster.ts';
import type { Value } from '../../src/protocol/records/value.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';
import { refusalOf } from './support.ts';

const epoch = 200;
const absentEpochsMax = 100;
const founding = paperCluster().founding.value;

/** `n` members: first `suspended` ones, then sleepers, then such as fall asleep unless they attend now. */
function groupOf(n: number, threshold: number, suspended: number, asleep: number, waning: number): Value {
  const keyEpoch = (at: number) =>
    at < suspended ? epoch : at < suspended + asleep ? 99 : at < suspended + asleep + waning ? 100 : epoch;
  const roster = Array.from({ length: n }, (_, at): Member => {
    const index = at + 1;
    return {
      index,
      name: `p${index}`,
      peer: `peer-${index}`,
      epochKey: new Uint8Array(32),
      keyEpoch: keyEpoch(at),
    };
  });
  const packet = { body: new Uint8Array(1), signature: new Uint8Array(64) };
  const suspensions = roster
    .slice(0, suspended)
    .map(({ index }) => ({ index, first: packet, second: packet }));
  return { ...founding, epoch, roster, threshold, suspended: suspensions };
}

const groups = (model: FaultModel) => {
  const found: Value[] = [];
  for (let n = 2; n <= 6; n += 1)
    for (let k = 2; k <= n; k += 1)
      for (let suspended = 0; suspended <= n - k; suspended += 1)
        for (let asleep = 0; suspended + asleep <= n - k; asleep += 1)
          for (let waning = 0; suspended + asleep + waning <= n; waning += 1)
            found.push(groupOf(n, k, suspended, asleep, waning));
  return { rules: { absentEpochsMax, faultModel: model }, found };
};
const subsets = <T>(all: readonly T[]): T[][] =>
  all.reduce<T[][]>((made, one) => made.concat(made.map((some) => [...some, one])), [[]]);

describe.each(['byzantine', 'crash'] as const)('under the %s model', (faultModel) => {
  const { rules, found } = groups(faultModel);

  test('orders pass exactly if the change can be decided, and the next one can whoever attends this one', () => {
    const seen = { passed: 0, refused: 0 };
    for (const value of found) {
      const now = attendanceOf(rules, value);
      for (const leaving of subsets(value.roster)) {
        const roster = value.roster.filter((member) => !leaving.includes(member));
        for (const threshold of [value.threshold, value.threshold + 1]) {
          if (roster.length < threshold) continue;
          const passes =
            refusalOf(() => checkAttendance(rules, value, { roster, threshold, forced: null })) === null;
          // Whoever attends gets a new key in the value of the change, and is no sleeper after it.
          const after = subsets(now.able)
            .filter((attending) => attending.length >= now.quorum)
            .every((attending) => {
              const renewed = roster.map((one) =>
                attending.includes(one) ? { ...one, keyEpoch: epoch + 1 } : one,
              );
              const suspended = lastingSuspensions(value, roster);
              return enoughAttend(
                attendanceOf(rules, { epoch: epoch + 1, roster: renewed, threshold, suspended }),
              );
            });
          if (passes !== (enoughAttend(now) && after))
            expect({ value, roster, threshold }).toBe(`passes: ${passes}`);
          seen[passes ? 'passed' : 'refused'] += 1;
        }
      }
    }
    expect(Math.min(seen.passed, seen.refused)).toBeGreaterThan(1000);
  });

  test('a way out is always there: an ordinary order, or the forced one where no other can be decided', () => {
    for (const value of found) {
      const { able, suspended, asleep } = attendanceOf(rules, value);
      const draft = { roster: able, threshold: value.threshold };
      const forced = able.map(({ index }) => index);
      expect(able.length).toBeGreaterThanOrEqual(value.threshold);
      expect(refusalOf(() => checkAttendance(rules, value, { ...draft, forced }))).toBeNull();
      if (!enoughAttend(attendanceOf(rules, value))) continue;
      for (const one of [...suspended, ...asleep]) {
        const without = value.roster.filter((member) => member !== one);
        const anew = value.roster.map((member) =>
          member === one ? { ...one, peer: 'another', keyEpoch: epoch + 1 } : member,
        );
        for (const roster of [without, anew])
          expect(
            refusalOf(() => checkAttendance(rules, value, { ...draft, roster, forced: null })),
          ).toBeNull();
      }
    }
  });

  test('a forced eviction passes exactly if those who remain may decide it', () => {
    for (const value of found)
      for (const remaining of subsets(value.roster)) {
        if (remaining.length < value.threshold) continue;
        const able = remaining.filter((member) => attendanceOf(rules, value).able.includes(member)).length;
        const forced = remaining.map(({ index }) => index);
        const draft = { roster: remaining, threshold: value.threshold, forced };
        const passes = refusalOf(() => checkAttendance(rules, value, draft)) === null;
        expect(passes).toBe(able >= quorumOf(remaining.length, value.threshold, faultModel));
      }
  });
});
